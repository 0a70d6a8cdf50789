//===- UnsupportedOps.h - all that a model needs and we lack --------------===//
#pragma once

#include "frontend/onnx/LocalFunctions.h"
#include "frontend/onnx/OnnxProto.h"
#include "quern/Status.h"

#include <string>
#include <vector>

namespace quern::onnx {

/// The imported opset version of each domain, by canonical name.
OpsetVersions opsetVersions(const proto::ModelProto &model);

/// An op that has no import function at the version the model uses.
struct UnsupportedOp {
  /// Canonical.
  std::string domain;
  std::string op;
  int64_t version = 0;
  std::string reason;
  /// The op may be supported in older opsets; its domain's version is unknown.
  bool opsetTooNew = false;
  /// The labels of the nodes that use it.
  std::vector<std::string> nodes;
};

/// Every such op of the model, subgraphs and functions included, by domain and name.
std::vector<UnsupportedOp> findUnsupportedOps(const proto::ModelProto &model);

/// One Unsupported error that names them all: an opset that is too new once for
/// its domain, every other op by itself.
Status checkOpsSupported(const proto::ModelProto &model);

} // namespace quern::onnx
