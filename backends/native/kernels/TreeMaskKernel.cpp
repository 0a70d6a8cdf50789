//===- TreeMaskKernel.cpp - leaves of decision trees by masks -------------===//
//
// All nodes of a tree are asked for 32 rows at once, two vectors of 16, whose features are copied
// to where they are neighbours: a comparison with the threshold in all lanes, and the mask where it
// sends a row the second way. There are no walks, so nothing waits for a load. The rows' sums stay
// in registers from tree to tree, and are added up in the order of the trees.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/TreeMaskKernel.h"

#include "backends/native/emit/KernelBuilder.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
enum MaskDim { kRows, kFeatures, kUsedFeatures, kTrees, kTaskRows, kNodesAt, kWeightsAt };
constexpr int64_t kLanes = 16, kVectors = TreeMasks::kRows / kLanes;

/// Emits the kernel.
class TreeMaskEmitter {
public:
  TreeMaskEmitter(KernelBuilder &kb, const TreeMaskSpec &spec)
      : kb(kb), ops(kb.builder()), spec(spec),
        maskType(spec.leaves == 32 ? DType::Int32 : DType::Int64) {}
  void emit();

private:
  using Values = KernelBuilder::Values;

  Value loadPlace(Value pointer, int64_t bytes) {
    Value place = kb.load(kb.advance(pointer, bytes, DType::UInt8), DType::Int32, 0);
    return ops.create<arith::ExtUIOp>(kb.loc(), ops.getI64Type(), place);
  }
  void copyRows(Value first);
  Values askNode(Value node, int test, ValueRange masks);
  Values askNodes(Value begin, Value end, int test, Values masks);
  Values leavesOf(Value tree);
  Value weightsAt(Value tree, Value leaves);
  void emitRows(Value first);

  KernelBuilder &kb;
  OpBuilder &ops;
  const TreeMaskSpec &spec;
  DType maskType;
};
} // namespace

/// Behind the last row it is copied again.
void TreeMaskEmitter::copyRows(Value first) {
  Value last = kb.sub(kb.dim(kRows), kb.index(1));
  kb.forLoop(kb.index(0), kb.index(TreeMasks::kRows), 1, [&](Value lane) {
    Value row = kb.minSigned(kb.add(first, lane), last);
    Value from = kb.advance(kb.buffer(0), kb.mul(row, kb.dim(kFeatures)), DType::Float32);
    Value to = kb.advance(kb.scratch(), lane, DType::Float32);
    kb.forLoop(kb.index(0), kb.dim(kUsedFeatures), 1, [&](Value feature) {
      Value value = kb.load(kb.advance(from, feature, DType::Float32), DType::Float32, 0);
      kb.store(value, kb.advance(to, kb.mul(feature, TreeMasks::kRows), DType::Float32),
               DType::Float32, 0);
    });
  });
}

/// Clears the leaves of the first way where a row takes the second one.
TreeMaskEmitter::Values TreeMaskEmitter::askNode(Value node, int test, ValueRange masks) {
  Value threshold = kb.splat(kb.load(node, DType::Float32, 0), kLanes);
  Value features = kb.advance(kb.scratch(), loadPlace(node, 4), DType::Float32);
  Value mask = kb.splat(kb.load(kb.advance(node, 8, DType::UInt8), maskType, 0), kLanes);
  Values next;
  for (auto [i, old] : llvm::enumerate(masks)) {
    Value feature = kb.load(kb.advance(features, static_cast<int64_t>(i) * kLanes, DType::Float32),
                            DType::Float32, kLanes);
    Value takesSecond =
        ops.create<arith::CmpFOp>(kb.loc(), secondWayTest(test), feature, threshold);
    Value cleared = ops.create<arith::AndIOp>(kb.loc(), old, mask);
    next.push_back(ops.create<arith::SelectOp>(kb.loc(), takesSecond, cleared, old));
  }
  return next;
}

/// Nodes come in pairs.
TreeMaskEmitter::Values TreeMaskEmitter::askNodes(Value begin, Value end, int test, Values masks) {
  Value nodes = kb.advance(kb.buffer(1), kb.dim(kNodesAt), DType::UInt8);
  return kb.forLoop(begin, end, 2, masks, [&](Value number, ValueRange carried) {
    Value node = kb.advance(nodes, kb.mul(number, TreeMasks::kNodeBytes), DType::UInt8);
    Values next = askNode(node, test, carried);
    return askNode(kb.advance(node, TreeMasks::kNodeBytes, DType::UInt8), test, next);
  });
}

/// The numbers of the rows' leaves in a tree.
TreeMaskEmitter::Values TreeMaskEmitter::leavesOf(Value tree) {
  Value begins = kb.advance(kb.buffer(1), kb.mul(tree, 2), DType::Int32);
  Value unordered = loadPlace(begins, 4);
  auto type = VectorType::get(kLanes, ops.getIntegerType(spec.leaves));
  Value all = ops.create<arith::ConstantOp>(
      kb.loc(), DenseElementsAttr::get(type, APInt::getAllOnes(spec.leaves)));
  Values masks = askNodes(loadPlace(begins, 0), unordered, spec.test, Values(kVectors, all));
  masks = askNodes(unordered, loadPlace(begins, 8), spec.test | reference::kTreeUnordered, masks);
  for (Value &mask : masks)
    mask = ops.create<math::CountTrailingZerosOp>(kb.loc(), mask);
  return masks;
}

Value TreeMaskEmitter::weightsAt(Value tree, Value leaves) {
  Value weights = kb.advance(kb.buffer(1), kb.dim(kWeightsAt), DType::UInt8);
  weights = kb.advance(weights, kb.mul(tree, spec.leaves), DType::Float32);
  auto type = VectorType::get(kLanes, ops.getF32Type());
  Type pointers = LLVM::getFixedVectorType(weights.getType(), kLanes);
  Value places = ops.create<LLVM::GEPOp>(kb.loc(), pointers, ops.getF32Type(), weights,
                                         ArrayRef<LLVM::GEPArg>{leaves});
  auto lanes = VectorType::get(kLanes, ops.getI1Type());
  Value active = ops.create<arith::ConstantOp>(kb.loc(), DenseElementsAttr::get(lanes, true));
  return ops.create<LLVM::masked_gather>(kb.loc(), type, places, active, ValueRange(),
                                         ops.getI32IntegerAttr(4));
}

/// The rows of two vectors, or what there is of them.
void TreeMaskEmitter::emitRows(Value first) {
  copyRows(first);
  Values sums = kb.forLoop(
      kb.index(0), kb.dim(kTrees), 1, Values(kVectors, kb.floatConstant(DType::Float32, kLanes, 0)),
      [&](Value tree, ValueRange carried) {
        Values next;
        for (auto [sum, leaves] : llvm::zip_equal(carried, leavesOf(tree)))
          next.push_back(ops.create<arith::AddFOp>(kb.loc(), sum, weightsAt(tree, leaves)));
        return next;
      });
  Value left = kb.sub(kb.dim(kRows), first);
  for (auto [i, sum] : llvm::enumerate(sums)) {
    auto before = static_cast<int64_t>(i) * kLanes;
    Value active =
        kb.maxSigned(kb.minSigned(kb.sub(left, kb.index(before)), kb.index(kLanes)), kb.index(0));
    kb.store(sum,
             kb.advance(kb.advance(kb.buffer(2), first, DType::Float32), before, DType::Float32),
             DType::Float32, kLanes, active);
  }
}

void TreeMaskEmitter::emit() {
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value begin = kb.mul(task, kb.dim(kTaskRows));
    Value end = kb.minSigned(kb.add(begin, kb.dim(kTaskRows)), kb.dim(kRows));
    kb.forLoop(begin, end, TreeMasks::kRows, [&](Value first) { emitRows(first); });
  });
}

void TreeMaskSpec::emit(KernelBuilder &kb) const { TreeMaskEmitter(kb, *this).emit(); }

LoweredStep native::makeTreeMasks(const TreeMaskSpec &spec, const TreeProblem &problem,
                                  const TreeMasks &masks, int64_t threads, StepBuffer rows,
                                  StepBuffer block, StepBuffer result) {
  // The nodes of all trees pass by for each 32 rows: tasks need not be large.
  constexpr int64_t kMostRows = 256, kTasksOfThread = 4;
  int64_t taskRows = threads > 1 ? ceilDiv(problem.rows, threads * kTasksOfThread) : kMostRows;
  taskRows = ceilDiv(std::min(taskRows, kMostRows), TreeMasks::kRows) * TreeMasks::kRows;
  LoweredStep step;
  step.buffers = {std::move(rows), std::move(block), std::move(result)};
  step.dims = {problem.rows, problem.features, problem.usedFeatures, problem.trees,
               taskRows,     masks.nodesAt(),  masks.weightsAt()};
  step.tasks = ceilDiv(problem.rows, taskRows);
  step.scratchBytes = problem.usedFeatures * TreeMasks::kRows * dtypeBytes(DType::Float32);
  step.kernel = kernelOf(spec);
  return step;
}
