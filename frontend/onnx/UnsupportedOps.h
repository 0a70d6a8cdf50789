//===- UnsupportedOps.h - all that a model needs and we lack --------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"
#include "quern/Status.h"

#include <map>
#include <string>

namespace quern::onnx {

/// The imported opset version of each domain, by canonical name.
std::map<std::string, int64_t> opsetVersions(const proto::ModelProto &model);

/// One Unsupported error that lists every op of the model, subgraphs included,
/// that has no import function at its opset version, with its number of nodes.
Status checkOpsSupported(const proto::ModelProto &model);

} // namespace quern::onnx
