//===- TreeKernel.cpp - walks through decision trees ----------------------===//
//
// A walk is a chain of loads that wait for each other. So sixteen go side by side: rows through
// one tree (or half as many), or where rows are few, one row through as many trees. No step is a
// branch: what is compared is added to the place of the next record. Walks take as many steps as
// the tree has levels, which is the same for all rows, and look only then whether all have arrived.
// Each row gets its votes in the order of the trees, whichever way, so that sums have the same
// bits.
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
/// Rows that are left over of whole groups.
constexpr int64_t kHalf = kLanes / 2;
/// Records of so many bytes stay near the core.
constexpr int64_t kNear = int64_t{1} << 20;

enum TreeDim { kRows, kFeatures, kTargets, kTrees, kTaskRows, kFewestRows };

/// Emits the kernel.
class TreeEmitter {
public:
  TreeEmitter(KernelBuilder &kb, const TreeSpec &spec)
      : kb(kb), spec(spec), layout{spec.dtype, spec.isWide} {}
  void emit();

private:
  using Values = KernelBuilder::Values;
  /// The address of a feature, by its number times numberScale(), in each lane.
  using Features = std::function<Value(Value number, int64_t lane)>;

  /// Numbers of narrow records are read with the bit below them, as zero.
  int64_t numberScale() const { return hasOwnUnordered(spec.test) && !spec.isWide ? 2 : 1; }

  Value block() { return kb.buffer(1); }
  Value byteAt(Value base, Value offset) { return kb.advance(base, offset, DType::UInt8); }
  /// An entry of a table whose place is in the header.
  Value table(TreeHeader entry) { return byteAt(block(), headers[entry]); }
  Value loadInt(Value pointer, Value i) {
    Value loaded = kb.load(kb.advance(pointer, i, DType::Int32), DType::Int32, 0);
    return kb.builder().create<arith::ExtUIOp>(kb.loc(), kb.builder().getI64Type(), loaded);
  }
  /// The int32 at so many bytes of a record.
  Value loadPart(Value record, int64_t offset) {
    return loadInt(byteAt(record, kb.index(offset)), kb.index(0));
  }
  Value recordAt(Value place) {
    return kb.advance(byteAt(block(), kb.index(TreeLayout::kHeaderBytes)), place, DType::Int64);
  }
  /// In the worker's memory, behind the places of a group.
  Value votes() { return kb.advance(kb.scratch(), kLanes, DType::Int64); }
  Value rowAt(Value row) {
    return kb.advance(kb.buffer(0), kb.mul(row, kb.dim(kFeatures)), spec.dtype);
  }
  /// The feature of a scaled number, where those of neighbouring numbers are `apart` elements
  /// apart.
  Value featureAt(Value base, Value number, int64_t apart) {
    return byteAt(base, kb.mul(number, apart * dtypeBytes(spec.dtype) / numberScale()));
  }
  Value bitAnd(Value a, Value b) { return kb.builder().create<arith::AndIOp>(kb.loc(), a, b); }
  Value shiftRight(Value a, Value by) {
    return kb.builder().create<arith::ShRUIOp>(kb.loc(), a, by);
  }
  /// Whether the second way is taken.
  Value takesSecond(Value feature, Value threshold, Value word);
  Value step(Value place, const Features &features, int64_t lane);
  Value haveAllArrived(ValueRange places);
  /// Where walks from `places` end.
  Values walk(Values places, Value levels, const Features &features);
  /// Adds the votes of the leaf at `place` to those of a row.
  void vote(Value place, Value sums);
  void voteAll(ValueRange places, Value count, llvm::function_ref<Value(Value lane)> sumsOf);
  void copyRows(Value first, int64_t lanes, Value to);
  void walkGroup(Value begin, Value first, int64_t lanes, Value turned, Value root, Value levels);
  void walkRows(Value begin, Value count);
  void walkTrees(Value begin, Value end);
  void emitTask(Value task, Value isShort);

  KernelBuilder &kb;
  const TreeSpec &spec;
  TreeLayout layout;
  Value headers[kTreeHeaderEntries];
  /// The bits of a record's word that are the feature.
  Value featureMask;
};
} // namespace

//===----------------------------------------------------------------------===//
// Walks
//===----------------------------------------------------------------------===//

arith::CmpFPredicate native::secondWayTest(int test) {
  using enum arith::CmpFPredicate;
  constexpr arith::CmpFPredicate kUnordered[] = {AlwaysTrue, UGE, UNE, UGT};
  constexpr arith::CmpFPredicate kOrdered[] = {ORD, OGE, ONE, OGT};
  return (test & kTreeUnordered ? kOrdered : kUnordered)[test & 3];
}

Value TreeEmitter::takesSecond(Value feature, Value threshold, Value word) {
  OpBuilder &ops = kb.builder();
  auto compare = [&](arith::CmpFPredicate predicate) -> Value {
    return ops.create<arith::CmpFOp>(kb.loc(), predicate, feature, threshold);
  };
  using enum arith::CmpFPredicate;
  if (hasOwnUnordered(spec.test)) {
    Value bit = spec.isWide ? shiftRight(word, kb.index(TreeLayout::kFeatureBits)) : word;
    Value second = ops.create<arith::TruncIOp>(kb.loc(), ops.getI1Type(), bit);
    return ops.create<arith::OrIOp>(kb.loc(), compare(secondWayTest(spec.test | kTreeUnordered)),
                                    bitAnd(compare(UNO), second));
  }
  if (spec.test >= 0)
    return compare(secondWayTest(spec.test));
  auto bit = [&](arith::CmpFPredicate predicate, TreeOutcome outcome) -> Value {
    Value is = ops.create<arith::ExtUIOp>(kb.loc(), ops.getI64Type(), compare(predicate));
    return kb.mul(is, outcome);
  };
  Value outcome =
      kb.add(kb.add(bit(OLT, kTreeLess), bit(OEQ, kTreeEqual)), bit(UNO, kTreeUnordered));
  Value both = bitAnd(outcome, shiftRight(word, kb.index(TreeLayout::kFeatureBits)));
  return ops.create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::eq, both, kb.index(0));
}

Value TreeEmitter::step(Value place, const Features &features, int64_t lane) {
  OpBuilder &ops = kb.builder();
  Value record = recordAt(place);
  Value threshold = kb.load(record, spec.dtype, 0);
  Value word = loadPart(record, layout.wordOffset());
  bool isNumber = spec.isWide && spec.test >= 0 && !hasOwnUnordered(spec.test);
  Value number = isNumber ? word : bitAnd(word, featureMask);
  Value next = spec.isWide ? loadPart(record, layout.placeOffset())
                           : shiftRight(word, headers[kTreeFeatureBits]);
  Value isSecond = takesSecond(kb.load(features(number, lane), spec.dtype, 0), threshold, word);
  Value way = ops.create<arith::ExtUIOp>(kb.loc(), ops.getI64Type(), isSecond);
  return kb.add(next, kb.mul(way, layout.units()));
}

/// Only in leaves' thresholds all of some bits are set.
Value TreeEmitter::haveAllArrived(ValueRange places) {
  Value bits = kb.index(layout.leafBits()), common = bits;
  for (Value place : places)
    common = bitAnd(common, loadPart(recordAt(place), layout.leafBitsOffset()));
  return kb.builder().create<arith::CmpIOp>(kb.loc(), arith::CmpIPredicate::eq, common, bits);
}

TreeEmitter::Values TreeEmitter::walk(Values places, Value levels, const Features &features) {
  OpBuilder &ops = kb.builder();
  auto stepAll = [&](ValueRange carried) {
    Values next(carried);
    for (auto [lane, place] : llvm::enumerate(next))
      place = step(place, features, static_cast<int64_t>(lane));
    return next;
  };
  llvm::SmallVector<Type> types(places.size(), ops.getI64Type());
  auto loop = ops.create<scf::WhileOp>(
      kb.loc(), types, places,
      [&](OpBuilder &inner, Location, ValueRange carried) {
        OpBuilder::InsertionGuard guard(ops);
        ops.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        Values next = kb.forLoop(kb.index(0), levels, 1, Values(carried),
                                 [&](Value, ValueRange places) { return stepAll(places); });
        Value goesOn = ops.create<arith::XOrIOp>(
            kb.loc(), haveAllArrived(next),
            ops.create<arith::ConstantOp>(kb.loc(), ops.getBoolAttr(true)));
        ops.create<scf::ConditionOp>(kb.loc(), goesOn, next);
      },
      [](OpBuilder &inner, Location loc, ValueRange carried) {
        inner.create<scf::YieldOp>(loc, carried);
      });
  return Values(loop.getResults());
}

void TreeEmitter::vote(Value place, Value sums) {
  Value leaf = bitAnd(loadPart(recordAt(place), layout.leafOffset()),
                      kb.index(static_cast<int64_t>(layout.numberMask())));
  auto add = [&](Value i) {
    Value weight = kb.load(kb.advance(table(kTreeWeights), i, spec.dtype), spec.dtype, 0);
    Value sum =
        spec.hasOneTarget ? sums : kb.advance(sums, loadInt(table(kTreeTargets), i), spec.dtype);
    Value old = kb.load(sum, spec.dtype, 0);
    kb.store(kb.builder().create<arith::AddFOp>(kb.loc(), old, weight), sum, spec.dtype, 0);
  };
  if (spec.hasOneVote)
    return add(leaf);
  Value begin = loadInt(table(kTreeLeaves), leaf),
        end = loadInt(table(kTreeLeaves), kb.add(leaf, 1));
  kb.forLoop(begin, end, 1, [&](Value i) { add(i); });
}

/// The votes of the first `count` of these places. They come from memory, so that the code for one
/// is there once.
void TreeEmitter::voteAll(ValueRange places, Value count,
                          llvm::function_ref<Value(Value lane)> sumsOf) {
  for (auto [lane, place] : llvm::enumerate(places))
    kb.store(place, kb.advance(kb.scratch(), static_cast<int64_t>(lane), DType::Int64),
             DType::Int64, 0);
  kb.forLoop(kb.index(0), count, 1, [&](Value lane) {
    Value place = kb.load(kb.advance(kb.scratch(), lane, DType::Int64), DType::Int64, 0);
    vote(place, sumsOf(lane));
  });
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Copies the features of a group of rows, so that those of one number are neighbours.
void TreeEmitter::copyRows(Value first, int64_t lanes, Value to) {
  kb.forLoop(kb.index(0), kb.index(lanes), 1, [&](Value lane) {
    Value row = rowAt(kb.add(first, lane)), own = kb.advance(to, lane, spec.dtype);
    kb.forLoop(kb.index(0), headers[kTreeFeatures], 1, [&](Value feature) {
      Value value = kb.load(kb.advance(row, feature, spec.dtype), spec.dtype, 0);
      kb.store(value, kb.advance(own, kb.mul(feature, lanes), spec.dtype), spec.dtype, 0);
    });
  });
}

/// A group of rows through one tree, from `first` of the rows that begin at `begin`.
void TreeEmitter::walkGroup(Value begin, Value first, int64_t lanes, Value turned, Value root,
                            Value levels) {
  Values rows;
  for (int64_t lane = 0; lane < lanes && !spec.turnsRows; ++lane)
    rows.push_back(rowAt(kb.add(kb.add(begin, first), lane)));
  Value own = spec.turnsRows ? kb.advance(turned, kb.mul(first, headers[kTreeFeatures]), spec.dtype)
                             : Value();
  Values places = walk(Values(lanes, root), levels, [&](Value number, int64_t lane) {
    return spec.turnsRows ? kb.advance(featureAt(own, number, lanes), lane, spec.dtype)
                          : featureAt(rows[lane], number, 1);
  });
  voteAll(places, kb.index(lanes), [&](Value lane) {
    return kb.advance(votes(), kb.mul(kb.add(first, lane), kb.dim(kTargets)), spec.dtype);
  });
}

/// `count` rows, whole groups and at most one half, tree by tree. In the worker's memory: the
/// votes of each row, then the features.
void TreeEmitter::walkRows(Value begin, Value count) {
  Value voteCount = kb.mul(count, kb.dim(kTargets));
  Value turned = kb.advance(votes(), voteCount, spec.dtype);
  Value zero = kb.floatConstant(spec.dtype, 0, 0);
  kb.forLoop(kb.index(0), voteCount, 1,
             [&](Value i) { kb.store(zero, kb.advance(votes(), i, spec.dtype), spec.dtype, 0); });
  Value whole = kb.sub(count, kb.rem(count, kb.index(kLanes)));
  auto forGroups = [&](llvm::function_ref<void(Value first, int64_t lanes)> body) {
    kb.forLoop(kb.index(0), whole, kLanes, [&](Value first) { body(first, kLanes); });
    kb.forLoop(whole, count, kHalf, [&](Value first) { body(first, kHalf); });
  };
  if (spec.turnsRows)
    forGroups([&](Value first, int64_t lanes) {
      copyRows(kb.add(begin, first), lanes,
               kb.advance(turned, kb.mul(first, headers[kTreeFeatures]), spec.dtype));
    });
  // The levels of single trees are behind those of their groups.
  Value ofGroups = kb.div(kb.add(kb.dim(kTrees), kLanes - 1), kb.index(kLanes));
  kb.forLoop(kb.index(0), kb.dim(kTrees), 1, [&](Value tree) {
    Value root = loadInt(table(kTreeRoots), tree);
    Value levels = loadInt(table(kTreeLevels), kb.add(ofGroups, tree));
    forGroups(
        [&](Value first, int64_t lanes) { walkGroup(begin, first, lanes, turned, root, levels); });
  });
  Value result = kb.advance(kb.buffer(2), kb.mul(begin, kb.dim(kTargets)), spec.dtype);
  kb.forLoop(kb.index(0), voteCount, 1, [&](Value i) {
    Value sum = kb.load(kb.advance(votes(), i, spec.dtype), spec.dtype, 0);
    kb.store(sum, kb.advance(result, i, spec.dtype), spec.dtype, 0);
  });
}

/// Single rows, in groups of trees.
void TreeEmitter::walkTrees(Value begin, Value end) {
  kb.forLoop(begin, end, 1, [&](Value row) {
    Value features = rowAt(row);
    Value sums = kb.advance(kb.buffer(2), kb.mul(row, kb.dim(kTargets)), spec.dtype);
    kb.forLoop(kb.index(0), kb.dim(kTargets), 1, [&](Value target) {
      kb.store(kb.floatConstant(spec.dtype, 0, 0), kb.advance(sums, target, spec.dtype), spec.dtype,
               0);
    });
    kb.forLoop(kb.index(0), kb.dim(kTrees), kLanes, [&](Value tree) {
      Values places;
      for (int64_t lane = 0; lane < kLanes; ++lane)
        places.push_back(loadInt(table(kTreeRoots), kb.add(tree, lane)));
      Value levels = loadInt(table(kTreeLevels), kb.div(tree, kb.index(kLanes)));
      places = walk(places, levels,
                    [&](Value number, int64_t) { return featureAt(features, number, 1); });
      // The last group may have roots that are none.
      Value count = kb.minSigned(kb.sub(kb.dim(kTrees), tree), kb.index(kLanes));
      voteAll(places, count, [&](Value) { return sums; });
    });
  });
}

void TreeEmitter::emitTask(Value task, Value isShort) {
  Value begin = kb.mul(task, kb.dim(kTaskRows));
  Value end = kb.minSigned(kb.add(begin, kb.dim(kTaskRows)), kb.dim(kRows));
  // Where features are missing nothing is read.
  end = kb.builder().create<arith::SelectOp>(kb.loc(), isShort, begin, end);
  Value count = kb.sub(end, begin);
  Value isFew = kb.lessThan(count, kb.dim(kFewestRows));
  Value grouped = kb.builder().create<arith::SelectOp>(
      kb.loc(), isFew, kb.index(0), kb.sub(count, kb.rem(count, kb.index(kHalf))));
  kb.ifThen(kb.lessThan(kb.index(0), grouped), [&] { walkRows(begin, grouped); });
  walkTrees(kb.add(begin, grouped), end);
}

void TreeEmitter::emit() {
  for (int entry = kTreeRoots; entry < kTreeHeaderEntries; ++entry)
    headers[entry] = kb.load(kb.advance(block(), entry, DType::Int64), DType::Int64, 0);
  Value bits = spec.isWide ? kb.index(TreeLayout::kFeatureBits) : headers[kTreeFeatureBits];
  Value above = kb.builder().create<arith::ShLIOp>(kb.loc(), kb.index(1), bits);
  featureMask = kb.sub(above, kb.index(numberScale()));
  Value isShort = kb.lessThan(kb.dim(kFeatures), headers[kTreeFeatures]);
  kb.trapIf(isShort, TrapCode::IndexOutOfRange);
  kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](Value task) { emitTask(task, isShort); });
}

void TreeSpec::emit(KernelBuilder &kb) const { TreeEmitter(kb, *this).emit(); }

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// Trees come from further away the larger they are: then more rows pass by each.
static int64_t chooseTaskRows(const TreeSpec &spec, const TreeProblem &problem, int64_t threads) {
  constexpr int64_t kRowsOfNear = 256, kRowsOfFar = 2048;
  constexpr int64_t kMostScratch = int64_t{1} << 19, kTasksOfThread = 4;
  int64_t most = problem.recordBytes <= kNear ? kRowsOfNear : kRowsOfFar;
  int64_t rowBytes =
      (problem.targets + (spec.turnsRows ? problem.usedFeatures : 0)) * dtypeBytes(spec.dtype);
  most = std::min(most, kMostScratch / std::max<int64_t>(rowBytes, 1));
  if (threads > 1)
    most = std::min(most, ceilDiv(problem.rows, threads * kTasksOfThread));
  return std::max(most / kLanes, int64_t{1}) * kLanes;
}

LoweredStep native::makeTrees(const TreeSpec &spec, const TreeProblem &problem, int64_t threads,
                              StepBuffer rows, StepBuffer block, StepBuffer result) {
  int64_t taskRows = chooseTaskRows(spec, problem, threads);
  int64_t rowElements = problem.targets + (spec.turnsRows ? problem.usedFeatures : 0);
  LoweredStep step;
  step.buffers = {std::move(rows), std::move(block), std::move(result)};
  // Walks through records that are far wait for them: sixteen by one row then take less time than
  // eight by as many rows. Behind a whole group the records of the tree are near.
  int64_t fewestRows = problem.recordBytes <= kNear ? kHalf : kLanes;
  step.dims = {problem.rows,  problem.features, problem.targets,
               problem.trees, taskRows,         fewestRows};
  step.tasks = ceilDiv(problem.rows, taskRows);
  step.scratchBytes =
      kLanes * dtypeBytes(DType::Int64) +
      std::min(taskRows, problem.rows / kHalf * kHalf) * rowElements * dtypeBytes(spec.dtype);
  step.kernel = kernelOf(spec);
  return step;
}
