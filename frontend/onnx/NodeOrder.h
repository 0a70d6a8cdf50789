//===- NodeOrder.h - names and order of a graph's nodes -------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"
#include "quern/Status.h"

namespace quern::onnx {

/// Every value of the graph is made once, and before it is used. The error tells
/// an undefined tensor, a cycle and unsorted nodes apart, by name.
Status checkNodeOrder(const proto::GraphProto &graph);

} // namespace quern::onnx
