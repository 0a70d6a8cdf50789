//===- GraphImport.h - what the nodes of one graph share ------------------===//
#pragma once

#include "frontend/onnx/ExternalData.h"
#include "frontend/onnx/RawData.h"
#include "quern/Limits.h"

#include "mlir/IR/Builders.h"

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace quern::onnx {

/// The state of an import that all its nodes share.
struct GraphImport {
  mlir::OpBuilder builder;
  const Limits &limits;
  /// The file's bytes, where raw_data is.
  MessageBytes source;
  /// The start of the names of weight blobs.
  std::string modelName;
  ExternalFiles files;
  /// The blob of `source`, once there is one.
  std::string sourceBlob = {};
  /// The blobs of external files, by location.
  std::map<std::string, std::string> externalBlobs = {};
  /// Tells blobs of the same name apart.
  int64_t nextBlobNumber = 2;
  /// The `nn.none` of the function.
  mlir::Value none = {};
  /// The values made so far, by ONNX name.
  std::unordered_map<std::string, mlir::Value> values = {};
  /// What the dialect has complained about since it was last cleared.
  std::string diagnostics = {};
};

} // namespace quern::onnx
