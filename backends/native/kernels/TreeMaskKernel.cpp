//===- TreeMaskKernel.cpp - leaves of decision trees by masks -------------===//
//
// All nodes of a tree are asked for 32 rows at once, two vectors of 16, whose features are copied
// to where they are neighbours: a comparison with the threshold in all lanes, and the mask where it
// sends a row the second way. There are no walks, so nothing waits for a load; a leaf's weight is
// permuted out of the vectors that hold all of the tree. The rows' sums stay in registers from tree
// to tree, and are added up in the order of the trees.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/TreeMaskKernel.h"

#include "backends/native/emit/KernelBuilder.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <algorithm>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
enum MaskDim { kRows, kFeatures, kUsedFeatures, kTrees, kTaskRows, kNodesAt, kWeightsAt };
constexpr int64_t kLanes = 16;

/// Emits the kernel.
class TreeMaskEmitter {
public:
  TreeMaskEmitter(KernelBuilder &kb, const TreeMaskSpec &spec)
      : kb(kb), ops(kb.builder()), spec(spec), maskType(VectorType::get(kLanes, ops.getI32Type())) {
  }
  void emit();

private:
  using Values = KernelBuilder::Values;

  Value loadPlace(Value pointer, int64_t bytes) {
    Value place = kb.load(kb.advance(pointer, bytes, DType::UInt8), DType::Int32, 0);
    return ops.create<arith::ExtUIOp>(kb.loc(), ops.getI64Type(), place);
  }
  Value constant(int64_t bits) {
    return ops.create<arith::ConstantOp>(
        kb.loc(),
        SplatElementsAttr::get(maskType, ops.getI32IntegerAttr(static_cast<int32_t>(bits))));
  }
  void copyRows(Value first, int64_t rows);
  Values askNode(Value node, int test, ValueRange masks);
  Values askNodes(Value begin, Value end, int test, Values masks);
  /// The bits that are left of a word of masks, of so many vectors of rows.
  Values wordOf(Value tree, int64_t word, size_t vectors);
  /// The weights of the first bits of a word.
  Value weightsOf(Value word, Value weights);
  Values addTree(Value tree, ValueRange sums);
  void emitRows(Value first, size_t vectors);

  KernelBuilder &kb;
  OpBuilder &ops;
  const TreeMaskSpec &spec;
  VectorType maskType;
};
} // namespace

/// Behind the last row it is copied again.
void TreeMaskEmitter::copyRows(Value first, int64_t rows) {
  Value last = kb.sub(kb.dim(kRows), kb.index(1));
  kb.forLoop(kb.index(0), kb.index(rows), 1, [&](Value lane) {
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
  Value mask = kb.splat(kb.load(kb.advance(node, 8, DType::UInt8), DType::Int32, 0), kLanes);
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

TreeMaskEmitter::Values TreeMaskEmitter::wordOf(Value tree, int64_t word, size_t vectors) {
  Value kinds = kb.add(kb.mul(tree, 2 * spec.words()), 2 * word);
  Value begins = kb.advance(kb.buffer(1), kinds, DType::Int32);
  Value unordered = loadPlace(begins, 4);
  Values masks =
      askNodes(loadPlace(begins, 0), unordered, spec.test, Values(vectors, constant(-1)));
  return askNodes(unordered, loadPlace(begins, 8), spec.test | reference::kTreeUnordered, masks);
}

Value TreeMaskEmitter::weightsOf(Value word, Value weights) {
  Value leaves = ops.create<math::CountTrailingZerosOp>(kb.loc(), word);
  Value lower = kb.load(weights, DType::Float32, kLanes);
  Value upper = kb.load(kb.advance(weights, kLanes, DType::Float32), DType::Float32, kLanes);
  auto name = ops.getStringAttr("llvm.x86.avx512.vpermi2var.ps.512");
  return ops
      .create<LLVM::CallIntrinsicOp>(kb.loc(), lower.getType(), name,
                                     ValueRange{lower, leaves, upper})
      ->getResult(0);
}

/// The first word with a bit that is left has the leaf; of the others any weight is taken.
TreeMaskEmitter::Values TreeMaskEmitter::addTree(Value tree, ValueRange sums) {
  Value weights = kb.advance(kb.buffer(1), kb.dim(kWeightsAt), DType::UInt8);
  weights = kb.advance(weights, kb.mul(tree, spec.leaves), DType::Float32);
  Values found;
  for (int64_t word = spec.words() - 1; word >= 0; --word) {
    Values masks = wordOf(tree, word, sums.size());
    Value ofWord = kb.advance(weights, word * TreeMasks::kWordBits, DType::Float32);
    for (auto [i, mask] : llvm::enumerate(masks)) {
      Value weight = weightsOf(mask, ofWord);
      if (found.size() < sums.size()) {
        found.push_back(weight);
        continue;
      }
      Value isHere =
          ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ne, mask, constant(0));
      found[i] = ops.create<arith::SelectOp>(kb.loc(), isHere, weight, found[i]);
    }
  }
  Values next;
  for (auto [sum, weight] : llvm::zip_equal(sums, found))
    next.push_back(ops.create<arith::AddFOp>(kb.loc(), sum, weight));
  return next;
}

/// The rows of so many vectors, or what there is of them.
void TreeMaskEmitter::emitRows(Value first, size_t vectors) {
  copyRows(first, static_cast<int64_t>(vectors) * kLanes);
  Values sums = kb.forLoop(kb.index(0), kb.dim(kTrees), 1,
                           Values(vectors, kb.floatConstant(DType::Float32, kLanes, 0)),
                           [&](Value tree, ValueRange carried) { return addTree(tree, carried); });
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
    kb.forLoop(begin, end, TreeMasks::kRows, [&](Value first) {
      Value areMany = kb.lessThan(kb.add(first, kLanes), end);
      kb.ifThen(
          areMany, [&] { emitRows(first, TreeMasks::kRows / kLanes); },
          [&] { emitRows(first, 1); });
    });
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
