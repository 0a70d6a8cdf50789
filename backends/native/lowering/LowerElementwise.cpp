//===- LowerElementwise.cpp - groups of elementwise ops -------------------===//
#include "backends/native/kernels/MapKernel.h"
#include "backends/native/lowering/GroupProgram.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/NNDialect.h"
#include "runtime/values/Strides.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

LoweringResult native::lowerMapGroup(Operation *group, const LoweringContext &context) {
  ReasonOr<GroupProgram, Misfit> program = buildGroupProgram(group, /*anchor=*/nullptr);
  if (!program)
    return program.reason();
  if (context.flushesHalves)
    program->program.allowFlushing();
  ArrayRef<int64_t> sizes = context.sizesOf(group->getResult(0));
  MapProblem problem;
  problem.name = "map" + program->program.label();
  problem.sizes.assign(sizes.begin(), sizes.end());
  problem.block = nn::layoutOf(group->getResult(0)).block;
  for (size_t d = 0; d < sizes.size(); ++d)
    problem.lasting.push_back(context.fixedSize(group->getResult(0), static_cast<int64_t>(d)) != 1);
  for (auto [i, input] : llvm::enumerate(program->inputs)) {
    bool isTable = program->program.isTable(static_cast<int>(i));
    problem.inputs.push_back(
        {StepBuffer::of(input), dtypeOfValue(input),
         isTable ? Sizes(sizes.size(), 0) : broadcastStrides(input, group->getResult(0), context)});
  }
  for (Value result : group->getResults()) {
    if (context.sizesOf(result) != sizes)
      return Reason{ReasonCode::Shape, "the group's results have different shapes"};
    problem.outputs.push_back(
        {StepBuffer::of(result), dtypeOfValue(result), rowMajorStrides<Sizes>(sizes)});
  }
  problem.program = std::move(program->program);
  LoweredSteps lowered;
  appendMap(std::move(problem), lowered);
  return lowered;
}
