//===- ForeignFile.h - files that are no ONNX models ----------------------===//
#pragma once

#include <string>

namespace quern::onnx {

/// What a file that is no ONNX model is instead, and in further lines how to get a model:
/// "a PyTorch file\n  ...". Empty when nothing is known of it. For errors: it opens the file
/// and reads its ends only. `isProtobuf`: it could be parsed as a model, but has no graph.
std::string describeForeignFile(const std::string &path, bool isProtobuf);

/// The same of a path at which there is no file: a folder, a URL.
std::string describeForeignPath(const std::string &path);

} // namespace quern::onnx
