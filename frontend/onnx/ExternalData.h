//===- ExternalData.h - weights in files beside the model -----------------===//
#pragma once

#include "quern/Status.h"
#include "runtime/system/MappedFile.h"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace onnx {
class ModelProto;
class TensorProto;
} // namespace onnx

namespace quern::onnx {

/// Where a tensor's external data lies: the entries of its `external_data`.
struct ExternalLocation {
  std::string file;
  int64_t offset = 0;
  /// -1: to the end of the file.
  int64_t length = -1;
};

/// Reads the entries; refuses unknown numbers, missing and empty locations.
Expected<ExternalLocation> parseExternalLocation(const ::onnx::TensorProto &tensor);

/// Maps the files that a model names, each once. A model is untrusted: every file
/// must be a regular one with a single link, reached from the model's directory
/// without `..`, an absolute path or a symbolic link.
class ExternalFiles {
public:
  explicit ExternalFiles(std::string directory) : directory(std::move(directory)) {}

  Expected<std::shared_ptr<const MappedFile>> map(const std::string &file);

private:
  std::string directory;
  std::map<std::string, std::shared_ptr<const MappedFile>> mapped;
};

/// The folder of a model file, where its external data is looked for.
std::string directoryOf(const std::string &modelPath);

/// The paths of all files with external data that a model in `directory` names, each once.
/// Nothing is checked of them: one may not even be there.
std::vector<std::string> externalFilesOf(const ::onnx::ModelProto &model,
                                         const std::string &directory);

/// The bytes [offset, offset + length) of a mapped file; an error when they do not lie in it.
Expected<std::span<const std::byte>> externalBytes(const MappedFile &file,
                                                   const ExternalLocation &location);

} // namespace quern::onnx
