//===- TuningTable.cpp - which ways of computing problems measured best ---===//
#include "backends/native/lowering/TuningTable.h"

#include "backends/native/lowering/Lowering.h"
#include "backends/native/target/Fields.h"
#include "ir/FusionGroup.h"
#include "ir/Types.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// A value of a problem.
struct ProblemValue {
  bool isNone = false;
  DType dtype = DType::Undefined;
  int64_t block = 0;
  std::vector<int64_t> sizes;
  bool isConstant = false;

  QUERN_FIELDS(isNone, dtype, block, sizes, isConstant)
};

struct Problem {
  std::string op, attributes;
  std::vector<ProblemValue> operands, results;

  QUERN_FIELDS(op, attributes, operands, results)
};
} // namespace

static ProblemValue describe(Value value, const LoweringContext &context) {
  ProblemValue described;
  described.isNone = nn::isNone(value);
  if (described.isNone)
    return described;
  described.dtype = plan::dtypeOfValue(value);
  described.block = nn::layoutOf(value).block;
  described.sizes = context.sizesOf(value).vec();
  described.isConstant = context.values.isKnown(value);
  return described;
}

std::string native::problemKey(Operation *op, const LoweringContext &context) {
  Operation *group = nn::groupOf(op);
  Problem problem;
  problem.op = op->getName().getStringRef().str();
  llvm::raw_string_ostream(problem.attributes) << op->getAttrDictionary();
  // Without Winograd's algorithm what is best is another way.
  if (context.winograd == WinogradUse::Off)
    problem.attributes += "winograd off";
  for (Value operand : op->getOperands())
    problem.operands.push_back(describe(nn::outerValue(group, operand), context));
  for (Value result : op->getResults())
    problem.results.push_back(describe(result, context));
  std::string bytes;
  Problem::visitFields(problem, FieldBytes(bytes));
  llvm::BLAKE3 hasher;
  hasher.update(bytes);
  constexpr size_t kBytes = 16;
  return llvm::toHex(hasher.final<kBytes>(), /*LowerCase=*/true);
}
