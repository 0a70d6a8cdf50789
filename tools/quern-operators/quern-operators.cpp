//===- quern-operators.cpp - what is made of each ONNX op -----------------===//
//
//   find cases -name '*.onnx' | quern-operators > operators.json
//
// Of every op of the importer's table: the versions, and, seen while importing the models,
// the ops of the dialect that it became, the types of its first operand, and what the
// native backend has for each of these ops. scripts/operators makes docs/operators.md of it.
//
//===----------------------------------------------------------------------===//
#include "backends/native/lowering/LoweringTable.h"
#include "frontend/onnx/OnnxImporter.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/NNDialect.h"
#include "ir/NNOps.h"
#include "ir/Types.h"
#include "passes/DecomposeQuantization.h"

#include <nlohmann/json.hpp>

#include <iostream>
#include <map>
#include <set>
#include <string>

using namespace quern;
using Json = nlohmann::ordered_json;

namespace {
/// What the models show of one op, in all its versions.
struct Seen {
  std::set<std::string> types, ops;
};
using Observations = std::map<std::pair<std::string, std::string>, Seen>;

} // namespace

/// Values that are there before a run are no work.
static bool isData(mlir::Operation *op) {
  return llvm::isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op);
}

/// How an op of the dialect runs natively: "code", "plans" (of its bodies), "composition" (of
/// others), or the reason why it has none.
static std::string nativeOf(mlir::RegisteredOperationName name) {
  if (!name.hasTrait<mlir::OpTrait::ZeroRegions>())
    return "plans";
  if (passes::isDecomposed(name.getStringRef()))
    return "composition";
  for (const native::LoweringRow &row : native::loweringTable())
    if (row.name == name.getStringRef() && row.ways.empty())
      return row.reason->text;
  return "code";
}

static Json describeNative() {
  mlir::MLIRContext context;
  context.loadDialect<nn::NNDialect>();
  Json ops = Json::object();
  for (mlir::RegisteredOperationName name : context.getRegisteredOperations())
    if (name.getDialectNamespace() == "nn")
      ops[name.getStringRef().str()] = nativeOf(name);
  return ops;
}

/// The element type of a tensor, or the kind of another value; empty when left out.
static std::string describeType(mlir::Type type) {
  if (llvm::isa<mlir::TensorType>(type))
    return std::string(dtypeName(nn::dtypeOf(nn::elementTypeOf(type))));
  return llvm::isa<nn::SequenceType>(type)   ? "sequence"
         : llvm::isa<nn::OptionalType>(type) ? "optional"
         : llvm::isa<nn::MapType>(type)      ? "map"
                                             : "";
}

/// Imports a model and notes what becomes of its nodes. One that is refused shows as much as
/// was imported of it.
static void observe(const std::string &path, Observations &seen) {
  mlir::MLIRContext context;
  auto note = [&](const onnx::OpsetRow &row, mlir::ValueRange operands,
                  llvm::ArrayRef<mlir::Operation *> made) {
    Seen &entry = seen[{std::string(row.domain), std::string(row.op)}];
    if (std::string type = operands.empty() ? "" : describeType(operands[0].getType());
        !type.empty())
      entry.types.insert(type);
    for (mlir::Operation *op : made)
      if (!isData(op))
        entry.ops.insert(op->getName().getStringRef().str());
  };
  onnx::ImportOptions options;
  options.observe = note;
  (void)onnx::importOnnxFile(path, context, options);
}

static Json describe(const Observations &seen) {
  Json rows = Json::array();
  const onnx::OpsetRow *last = nullptr;
  for (const onnx::OpsetRow *row : onnx::allOpsetRows()) {
    if (last && last->op == row->op && last->domain == row->domain) {
      rows.back()["until"] = row->until;
    } else {
      auto found = seen.find({std::string(row->domain), std::string(row->op)});
      Seen entry = found == seen.end() ? Seen() : found->second;
      rows.push_back({{"domain", row->domain.empty() ? "ai.onnx" : std::string(row->domain)},
                      {"op", std::string(row->op)},
                      {"since", row->since},
                      {"until", row->until},
                      {"seen", found != seen.end()},
                      {"types", entry.types},
                      {"ops", entry.ops}});
    }
    last = row;
  }
  return rows;
}

int main() {
  Observations seen;
  for (std::string path; std::getline(std::cin, path);)
    observe(path, seen);
  Json report = {
      {"schema", "quern.operators/1"}, {"operators", describe(seen)}, {"native", describeNative()}};
  std::cout << report.dump(1) << "\n";
}
