//===- OnnxFile.h - what an ONNX file says, without importing it ----------===//
#pragma once

#include "quern/ImageInput.h"
#include "quern/Limits.h"
#include "quern/PortSignature.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace quern {

/// What is in a model, whether or not its ops are supported.
struct ModelFacts {
  /// Those that it is in: its own, then those with external data; none from memory.
  std::vector<std::string> files = {};
  /// "ONNX", "TensorFlow Lite".
  std::string format = "ONNX";
  std::string producer;
  /// As the model has them, for people: its graph's name, the domain, what is said of the
  /// model and of the graph, the version, and whatever else is there by name.
  std::string graphName, domain, description, graphDescription;
  int64_t modelVersion = 0;
  std::vector<std::pair<std::string, std::string>> metadata;
  /// How inputs take images, as far as metadata that are standard say it, by input.
  std::map<std::string, ImageOptions> images;
  /// Outputs, and the files with a label for each element of their rows, which lie in a ZIP
  /// archive behind the model in its own file.
  std::vector<std::pair<std::string, std::string>> labelFiles;
  int64_t irVersion = 0;
  /// The imported versions by domain; that of ONNX itself is called ai.onnx.
  std::vector<std::pair<std::string, int64_t>> opsets;
  std::vector<PortSignature> inputs, outputs;
  /// How often each op is used, bodies included: by count, then name.
  std::vector<std::pair<std::string, int64_t>> ops;
  int64_t nodes = 0;
  int64_t initializers = 0;
  /// Elements of the initializers.
  int64_t parameters = 0;
};

/// Reads and validates a model file. Errors name the file.
Expected<ModelFacts> inspectModelFile(const std::string &path, const Limits &limits = {});
/// The same of a model in memory, of which nothing is kept.
Expected<ModelFacts> inspectModelBytes(std::span<const std::byte> bytes, const Limits &limits = {});

/// An op that a model uses and that cannot be imported.
struct UnsupportedOp {
  std::string op;
  std::string domain;
  /// Of the domain's opset.
  int64_t version = 0;
  std::string reason;
  /// The nodes that use it.
  std::vector<std::string> nodes;
};

/// The files that a model is in: its own, then those with external data that it names.
Expected<std::vector<std::string>> findModelFiles(const std::string &path,
                                                  const Limits &limits = {});

/// All such ops of a model file, bodies and functions included, by domain and name.
Expected<std::vector<UnsupportedOp>> findUnsupportedOps(const std::string &path,
                                                        const Limits &limits = {});

/// What keeps a model from being loaded, beside ops that are not supported.
struct ModelProblem {
  /// InvalidModel or Unsupported.
  StatusCode code = StatusCode::Unsupported;
  /// The node, its op and the version of the op's domain; empty where it is no node.
  std::string node;
  std::string op;
  int64_t version = 0;
  std::string message;
};

/// All such problems of a model file, or the first hundred; none when it loads.
Expected<std::vector<ModelProblem>> findModelProblems(const std::string &path,
                                                      const Limits &limits = {});

/// Reads a .pb file with one tensor, as ONNX's test data has them. Errors name the file.
Expected<Tensor> readTensorFile(const std::string &path, const Limits &limits = {});
/// The same of a value of any type, which the file itself does not tell.
Expected<AnyValue> readValueFile(const std::string &path, const ValueType &type,
                                 const Limits &limits = {});
/// The bytes of such a file, in which the value has a name.
Expected<std::string> serializeValue(const AnyValue &value, const std::string &name);

} // namespace quern
