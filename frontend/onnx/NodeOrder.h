//===- NodeOrder.h - names and order of a graph's nodes -------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"
#include "quern/Status.h"

#include <functional>
#include <string>
#include <vector>

namespace quern::onnx {

/// The nodes of the graph, in an order in which every value is made before it is
/// used. It is the file's order, save that a node which comes after one of its
/// users is put before the first of them, as are the nodes that it needs itself.
/// The error tells a value made twice, an undefined one and a cycle apart, by name.
Expected<std::vector<int>> sortNodes(const proto::GraphProto &graph);
/// The same of a body, which sees the values for which `isAround` holds as well.
Expected<std::vector<int>> sortNodes(const proto::GraphProto &body,
                                     const std::function<bool(const std::string &)> &isAround);
/// The same of a function, which sees nothing but its inputs.
Expected<std::vector<int>> sortNodes(const proto::FunctionProto &function);

} // namespace quern::onnx
