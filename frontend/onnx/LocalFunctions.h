//===- LocalFunctions.h - the functions that a model brings with it -------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"
#include "quern/Limits.h"
#include "quern/Status.h"

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace quern::onnx {

/// The version of each domain that nodes mean, by canonical name.
using OpsetVersions = std::map<std::string, int64_t>;

/// A function of a model, for nodes that call it.
struct LocalFunction {
  const proto::FunctionProto *proto = nullptr;
  /// What its nodes mean; not the model's.
  OpsetVersions opsets;
  /// Attributes that a call may leave out.
  std::vector<proto::AttributeProto> defaults;
  /// The order in which to read its nodes; see NodeOrder.h.
  std::vector<int> order;

  /// How messages name it: "domain.Name".
  std::string label() const;
  /// Whether calls may give it an attribute of this name.
  bool hasAttribute(const std::string &name) const;
};

/// The functions of a model, by domain, name and overload. They refer to the model,
/// which must live as long.
class LocalFunctions {
public:
  /// Reads all functions; refuses those without a name, and equal ones. Their orders
  /// are the validator's to fill in.
  static Expected<LocalFunctions> create(const proto::ModelProto &model);

  /// The function that a node calls; null when it is an op. A function comes before
  /// an op of the same name.
  const LocalFunction *find(const proto::NodeProto &node) const;
  std::vector<LocalFunction *> all();

  /// Refuses functions that call themselves, by whatever way, and calls nested
  /// deeper than `limits.maxNesting`; counts the nodes of all calls of the graph
  /// with all that is in them, and refuses more than `limits.maxNodes`.
  Status checkCalls(const proto::GraphProto &graph, const Limits &limits) const;

private:
  using Key = std::tuple<std::string, std::string, std::string>;
  std::map<Key, LocalFunction> functions;
};

/// The attributes that a function has values for, where a call has none.
Expected<std::vector<proto::AttributeProto>>
defaultAttributes(const proto::FunctionProto &function);
/// The overload of a function that a node calls; "" for the only one.
std::string overloadOf(const proto::NodeProto &node);

} // namespace quern::onnx
