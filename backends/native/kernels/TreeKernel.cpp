//===- TreeKernel.cpp - walks through decision trees ----------------------===//
//
// A walk is a chain of loads that wait for each other. So several go side by side: eight
// rows through one tree, or where rows are few, one row through eight trees. No step is a
// branch: what is compared becomes the offset of the next node's address. Each row gets
// its votes in the order of the trees, whichever way, so that sums have the same bits.
//
//===----------------------------------------------------------------------===//
#include "backends/native/kernels/TreeKernel.h"

#include "backends/native/emit/KernelBuilder.h"
#include "runtime/values/CeilDiv.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::reference;

namespace {
constexpr int64_t kLanes = TreeLayout::kGroup;
/// Rows of a task: their features stay in the first cache while trees are walked.
constexpr int64_t kTaskRows = 64;
/// Levels between two looks at whether all have arrived.
constexpr int kLevels = 2;

enum TreeDim { kRows, kFeatures, kTargets, kTrees, kFirstLeaf };

/// Emits the kernel.
class TreeEmitter {
public:
  TreeEmitter(KernelBuilder &kb, const TreeSpec &spec)
      : kb(kb), spec(spec), layout{spec.dtype, 0, 0} {}
  void emit();

private:
  using Values = KernelBuilder::Values;

  Value block() { return kb.buffer(1); }
  Value byteAt(Value base, Value offset) { return kb.advance(base, offset, DType::UInt8); }
  /// An entry of a table whose place is in the header.
  Value table(TreeHeader entry) { return byteAt(block(), headers[entry]); }
  Value loadInt(Value pointer, Value i) {
    Value loaded = kb.load(kb.advance(pointer, i, DType::Int32), DType::Int32, 0);
    return kb.builder().create<arith::ExtUIOp>(kb.loc(), kb.builder().getI64Type(), loaded);
  }
  Value rowAt(Value row) {
    return kb.advance(kb.buffer(0), kb.mul(row, kb.dim(kFeatures)), spec.dtype);
  }
  /// Whether the first way is taken.
  Value takesFirst(Value feature, Value threshold, Value word);
  Value step(Value place, Value row);
  /// Where walks from `places` through rows at `rows` end.
  Values walk(Values places, const Values &rows);
  /// Adds the votes of the leaf at `place` to those of a row.
  void vote(Value place, Value row);
  void walkRows(Value begin, Value end);
  void walkTrees(Value begin, Value end);

  KernelBuilder &kb;
  const TreeSpec &spec;
  TreeLayout layout;
  Value headers[kTreeFeatures + 1];
};
} // namespace

Value TreeEmitter::takesFirst(Value feature, Value threshold, Value word) {
  OpBuilder &ops = kb.builder();
  auto compare = [&](arith::CmpFPredicate predicate) -> Value {
    return ops.create<arith::CmpFOp>(kb.loc(), predicate, feature, threshold);
  };
  using enum arith::CmpFPredicate;
  if (spec.test >= 0) {
    constexpr arith::CmpFPredicate kOrdered[] = {AlwaysFalse, OLT, OEQ, OLE};
    constexpr arith::CmpFPredicate kUnordered[] = {UNO, ULT, UEQ, ULE};
    return compare((spec.test & kTreeUnordered ? kUnordered : kOrdered)[spec.test & 3]);
  }
  auto bit = [&](arith::CmpFPredicate predicate, TreeOutcome outcome) -> Value {
    Value is = ops.create<arith::ExtUIOp>(kb.loc(), ops.getI64Type(), compare(predicate));
    return kb.mul(is, outcome);
  };
  Value outcome =
      kb.add(kb.add(bit(OLT, kTreeLess), bit(OEQ, kTreeEqual)), bit(UNO, kTreeUnordered));
  Value test = ops.create<arith::ShRUIOp>(kb.loc(), word, kb.index(TreeLayout::kFeatureBits));
  Value both = ops.create<arith::AndIOp>(kb.loc(), outcome, test);
  return ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::ne, both, kb.index(0));
}

Value TreeEmitter::step(Value place, Value row) {
  OpBuilder &ops = kb.builder();
  Value record = byteAt(block(), place);
  Value threshold = kb.load(record, spec.dtype, 0);
  Value word = loadInt(byteAt(record, kb.index(layout.featureOffset())), kb.index(0));
  Value number = word;
  if (spec.test < 0)
    number = ops.create<arith::AndIOp>(kb.loc(), word,
                                       kb.index((int64_t{1} << TreeLayout::kFeatureBits) - 1));
  Value feature = kb.load(kb.advance(row, number, spec.dtype), spec.dtype, 0);
  Value first = takesFirst(feature, threshold, word);
  Value isSecond = ops.create<arith::XOrIOp>(
      kb.loc(), first, ops.create<arith::ConstantOp>(kb.loc(), ops.getBoolAttr(true)));
  Value way = ops.create<arith::ExtUIOp>(kb.loc(), ops.getI64Type(), isSecond);
  return loadInt(byteAt(record, kb.index(layout.waysOffset())), way);
}

TreeEmitter::Values TreeEmitter::walk(Values places, const Values &rows) {
  OpBuilder &ops = kb.builder();
  llvm::SmallVector<Type> types(places.size(), ops.getI64Type());
  auto loop = ops.create<scf::WhileOp>(
      kb.loc(), types, places,
      [&](OpBuilder &inner, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        Value lowest = carried[0];
        for (Value place : carried.drop_front())
          lowest = kb.minSigned(lowest, place);
        ops.create<scf::ConditionOp>(kb.loc(), kb.lessThan(lowest, kb.dim(kFirstLeaf)), carried);
      },
      [&](OpBuilder &inner, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        Values next(carried);
        for (int level = 0; level < kLevels; ++level)
          for (auto [place, row] : llvm::zip(next, rows))
            place = step(place, row);
        ops.create<scf::YieldOp>(kb.loc(), next);
      });
  return Values(loop.getResults());
}

void TreeEmitter::vote(Value place, Value row) {
  Value leaf = kb.div(kb.sub(place, kb.dim(kFirstLeaf)), kb.index(layout.recordBytes()));
  Value sums = kb.advance(kb.buffer(2), kb.mul(row, kb.dim(kTargets)), spec.dtype);
  auto add = [&](Value i) {
    Value weight = kb.load(kb.advance(table(kTreeWeights), i, spec.dtype), spec.dtype, 0);
    Value sum = kb.advance(sums, loadInt(table(kTreeTargets), i), spec.dtype);
    Value old = kb.load(sum, spec.dtype, 0);
    kb.store(kb.builder().create<arith::AddFOp>(kb.loc(), old, weight), sum, spec.dtype, 0);
  };
  if (spec.hasOneVote)
    return add(leaf);
  Value begin = loadInt(table(kTreeLeaves), leaf),
        end = loadInt(table(kTreeLeaves), kb.add(leaf, 1));
  kb.forLoop(begin, end, 1, [&](Value i) { add(i); });
}

/// Groups of rows, tree by tree.
void TreeEmitter::walkRows(Value begin, Value end) {
  kb.forLoop(kb.index(0), kb.dim(kTrees), 1, [&](Value tree) {
    Value root = loadInt(table(kTreeRoots), tree);
    kb.forLoop(begin, end, kLanes, [&](Value first) {
      Values rows, places(kLanes, root);
      for (int64_t lane = 0; lane < kLanes; ++lane)
        rows.push_back(rowAt(kb.add(first, lane)));
      places = walk(places, rows);
      for (int64_t lane = 0; lane < kLanes; ++lane)
        vote(places[lane], kb.add(first, lane));
    });
  });
}

/// Single rows, in groups of trees.
void TreeEmitter::walkTrees(Value begin, Value end) {
  kb.forLoop(begin, end, 1, [&](Value row) {
    kb.forLoop(kb.index(0), kb.dim(kTrees), kLanes, [&](Value tree) {
      Values places, rows(kLanes, rowAt(row));
      for (int64_t lane = 0; lane < kLanes; ++lane)
        places.push_back(loadInt(table(kTreeRoots), kb.add(tree, lane)));
      places = walk(places, rows);
      // The last group may have roots that are none: of one vote each, they have no place.
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        if (!spec.hasOneVote || lane == 0)
          vote(places[lane], row);
        else
          kb.ifThen(kb.lessThan(kb.add(tree, lane), kb.dim(kTrees)),
                    [&] { vote(places[lane], row); });
      }
    });
  });
}

void TreeEmitter::emit() {
  for (int entry = kTreeRoots; entry <= kTreeFeatures; ++entry)
    headers[entry] = kb.load(kb.advance(block(), entry, DType::Int64), DType::Int64, 0);
  Value isShort = kb.lessThan(kb.dim(kFeatures), headers[kTreeFeatures]);
  kb.trapIf(isShort, TrapCode::IndexOutOfRange);
  Value zero = kb.floatConstant(spec.dtype, 0, 0);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) {
    Value begin = kb.mul(task, kTaskRows);
    Value end = kb.minSigned(kb.add(begin, kTaskRows), kb.dim(kRows));
    kb.forLoop(kb.mul(begin, kb.dim(kTargets)), kb.mul(end, kb.dim(kTargets)), 1, [&](Value i) {
      kb.store(zero, kb.advance(kb.buffer(2), i, spec.dtype), spec.dtype, 0);
    });
    // Where features are missing nothing is read.
    Value stop = kb.builder().create<arith::SelectOp>(kb.loc(), isShort, begin, end);
    Value rest = kb.sub(stop, kb.rem(kb.sub(stop, begin), kb.index(kLanes)));
    walkRows(begin, rest);
    walkTrees(rest, stop);
  });
}

void TreeSpec::emit(KernelBuilder &kb) const { TreeEmitter(kb, *this).emit(); }

LoweredStep native::makeTrees(const TreeSpec &spec, const TreeProblem &problem, StepBuffer rows,
                              StepBuffer block, StepBuffer result) {
  LoweredStep step;
  step.buffers = {std::move(rows), std::move(block), std::move(result)};
  step.dims = {problem.rows, problem.features, problem.targets, problem.trees,
               problem.layout.firstLeaf()};
  step.tasks = ceilDiv(problem.rows, kTaskRows);
  step.kernel = kernelOf(spec);
  return step;
}
