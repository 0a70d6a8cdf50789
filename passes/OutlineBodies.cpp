//===- OutlineBodies.cpp - graphs of their own for branches and bodies ----===//
//
// So that a body is optimised and planned as any graph is, for the sizes that it is
// called with. Constants that it sees are copied into it, other values are passed.
//
//===----------------------------------------------------------------------===//
#include "passes/OutlineBodies.h"

#include "ir/ControlFlow.h"
#include "ir/OutlinedOps.h"
#include "ir/Signature.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

using Captured = llvm::SetVector<Value>;

/// The body as @main of a module in the same context.
static OwningOpRef<ModuleOp> graphOf(Region &body, const Captured &captured) {
  Block &block = body.front();
  SmallVector<Type> inputs(block.getArgumentTypes());
  for (Value value : captured)
    if (!isConstant(value) && !isNone(value))
      inputs.push_back(value.getType());
  Location loc = body.getParentOp()->getLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  OpBuilder builder(module->getBodyRegion());
  Operation *yield = block.getTerminator();
  auto main = builder.create<func::FuncOp>(
      loc, "main", builder.getFunctionType(inputs, yield->getOperandTypes()));
  builder.setInsertionPointToStart(main.addEntryBlock());
  IRMapping mapping;
  mapping.map(block.getArguments(), main.getArguments().take_front(block.getNumArguments()));
  unsigned next = block.getNumArguments();
  for (Value value : captured) {
    if (isConstant(value) || isNone(value))
      mapping.map(value, builder.clone(*value.getDefiningOp())->getResult(0));
    else
      mapping.map(value, main.getArgument(next++));
  }
  for (Operation &op : block.without_terminator())
    builder.clone(op, mapping);
  SmallVector<Value> results;
  for (Value value : yield->getOperands())
    results.push_back(mapping.lookup(value));
  builder.create<func::ReturnOp>(loc, results);
  return module;
}

static Tensor::Dims knownDims(Value value) {
  Tensor::Dims dims;
  if (std::optional<Shape> shape = shapeOf(value))
    for (const Dim &dim : shape->dims())
      dims.push_back(dim.isStatic() ? dim.size() : 0);
  return dims;
}

/// What the op says beside its operands and bodies.
static OutlinedOp describe(Operation *op) {
  OutlinedOp result;
  Operation *yield = op->getRegion(0).front().getTerminator();
  size_t firstCollected = yield->getNumOperands();
  if (auto loop = dyn_cast<LoopOp>(op)) {
    result.kind = OutlinedOp::Kind::Loop;
    result.numCarried = loop.getInitial().size();
    firstCollected = 1 + result.numCarried;
    result.outputAxes.assign(yield->getNumOperands() - firstCollected, 0);
    result.outputDirections = result.outputAxes;
    Block &body = loop.getBody().front();
    result.numberDims = loopScalarDims(body.getArgument(0));
    result.conditionDims = loopScalarDims(body.getArgument(1));
  } else if (auto scan = dyn_cast<ScanOp>(op)) {
    result.kind = OutlinedOp::Kind::Scan;
    result.inputAxes = scan.getInputAxes().vec();
    result.inputDirections = scan.getInputDirections().vec();
    result.outputAxes = scan.getOutputAxes().vec();
    result.outputDirections = scan.getOutputDirections().vec();
    firstCollected = result.numCarried = scan.getInputs().size() - result.inputAxes.size();
  }
  for (Value collected : yield->getOperands().drop_front(firstCollected))
    result.slices.push_back(knownDims(collected));
  return result;
}

static OutlinedOp outline(Operation *op, int64_t number) {
  Captured captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  OutlinedOp result = describe(op);
  for (Region &region : op->getRegions())
    result.bodies.push_back(graphOf(region, captured));
  SmallVector<Value> operands(op->getOperands());
  for (Value value : captured)
    if (!isConstant(value) && !isNone(value))
      operands.push_back(value);
  result.numCaptured = operands.size() - op->getNumOperands();
  OpBuilder builder(op);
  auto call = builder.create<RunBodiesOp>(op->getLoc(), op->getResultTypes(), operands, number);
  op->replaceAllUsesWith(call);
  op->erase();
  return result;
}

Expected<std::vector<OutlinedOp>> passes::outlineBodies(ModuleOp module, const Deadline &deadline) {
  std::vector<OutlinedOp> all;
  Block &block = findMain(module).getBody().front();
  for (Operation &op : llvm::make_early_inc_range(block)) {
    if (!isa<IfOp, LoopOp, ScanOp>(op))
      continue;
    QUERN_TRY(deadline.check("outlining bodies").withContext(nodeContext(&op)));
    all.push_back(outline(&op, static_cast<int64_t>(all.size())));
  }
  return all;
}
