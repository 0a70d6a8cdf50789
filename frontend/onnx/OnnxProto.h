//===- OnnxProto.h - ONNX's generated protobuf classes --------------------===//
//
// The only place that includes them. Of libonnx nothing else is used: its
// checker and its shape inference crash on bad input.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <onnx/onnx-data_pb.h>
#include <onnx/onnx_pb.h>

#include <fmt/format.h>

#include <string>

namespace quern::onnx {

/// The generated classes; `onnx::` alone would mean quern::onnx here.
namespace proto = ::onnx;

/// How messages name a node: its name, or "Conv_12" when it has none. Other nodes may have the
/// same one; NodeLabels tells them apart.
inline std::string nodeLabel(const proto::NodeProto &node, int64_t index) {
  return node.name().empty() ? fmt::format("{}_{}", node.op_type(), index) : node.name();
}

/// The domain with its alias resolved: "ai.onnx" is the default domain "".
inline std::string canonicalDomain(const std::string &domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

/// How messages name a canonical domain.
inline std::string domainLabel(const std::string &domain) {
  return domain.empty() ? "ai.onnx" : domain;
}

} // namespace quern::onnx
