//===- Scope.h - what names mean where a node stands ----------------------===//
#pragma once

#include "frontend/onnx/LocalFunctions.h"

#include "mlir/IR/Value.h"

#include <map>
#include <string>
#include <unordered_map>

namespace quern::onnx {

/// The names that the nodes of a graph or function see: those of values, of opset
/// versions, and of the attributes that a function was called with.
struct Scope {
  /// The scope around a subgraph; null for the graph of the model and for functions,
  /// which see nothing of their caller.
  const Scope *parent = nullptr;
  const OpsetVersions &opsets;
  /// What `ref_attr_name` refers to; a call may have left out some.
  std::map<std::string, proto::AttributeProto> attributes = {};
  /// Precedes node labels: "caller/" inside of a call.
  std::string prefix = {};
  /// The values made so far, by ONNX name.
  std::unordered_map<std::string, mlir::Value> values = {};

  /// The value of this name, here or around; null when there is none.
  mlir::Value find(const std::string &name) const {
    for (const Scope *scope = this; scope; scope = scope->parent)
      if (auto value = scope->values.find(name); value != scope->values.end())
        return value->second;
    return {};
  }
};

} // namespace quern::onnx
