//===- ImportedNodes.cpp - the nodes of a model by name -------------------===//
#include "api/compare/ImportedNodes.h"

#include "api/RunCount.h"
#include "backends/interpreter/Interpreter.h"
#include "ir/NNDialect.h"
#include "ir/NodeNames.h"

#include <fmt/format.h>

using namespace quern;

ImportedNodes::ImportedNodes(mlir::func::FuncOp main) : main(main) {
  size_t place = 0;
  for (mlir::Operation &op : main.getBody().front().without_terminator()) {
    std::vector<std::string> names = nn::nodeNames(op.getLoc());
    // A node may have become several ops, which are one after the other.
    if (!names.empty())
      entries[names.front()] = {place, op.getNumResults()};
    ++place;
  }
}

std::string ImportedNodes::lastOf(const std::vector<std::string> &nodes) const {
  std::string last = nodes.empty() ? "?" : nodes.back();
  std::optional<size_t> place;
  for (const std::string &node : nodes) {
    auto at = entries.find(node);
    if (at == entries.end() || (place && at->second.place < *place))
      continue;
    last = node;
    place = at->second.place;
  }
  return last;
}

Expected<std::vector<AnyValue>> ImportedNodes::interpret(std::span<const AnyValue> inputs,
                                                         const Limits &limits) {
  QUERN_ASSIGN(interpreter::ReferenceProgram program,
               interpreter::ReferenceProgram::create(main.getBody().front()));
  RunCount count("interpreting: ", fmt::format(" of {} ops", program.stepCount()));
  interpreter::RunOptions options;
  options.limits = limits;
  options.onResults = [&](const std::string &node, std::span<const AnyValue> results) -> Status {
    // Of the ops of one node the last one's results stay.
    for (size_t i = 0; i < results.size(); ++i)
      if (wanted.count({node, i}))
        values[{node, i}] = results[i];
    return count.add();
  };
  return program.run(inputs, options);
}

const AnyValue *ImportedNodes::valueOf(const std::string &node, size_t result) const {
  auto at = values.find({node, result});
  return at == values.end() ? nullptr : &at->second;
}
