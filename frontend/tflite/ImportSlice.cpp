//===- ImportSlice.cpp - parts of tensors ---------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;
using Values = llvm::ArrayRef<Value>;

static constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
/// Before the first element, where a slice goes backwards.
static constexpr int64_t kBegin = std::numeric_limits<int64_t>::min();

/// begin, and how many elements: -1 is all that are left.
static void importSlice(OpReader &op) {
  Value begins = op.sizes(1), counts = op.sizes(2), ends;
  auto begin = op.constants(1), count = op.constants(2);
  if (begin && count && begin->size() == count->size()) {
    std::vector<int64_t> places;
    for (size_t i = 0; i < begin->size(); ++i)
      places.push_back((*count)[i] == -1 ? kEnd : (*begin)[i] + (*count)[i]);
    ends = op.intsConstant(places);
  } else {
    Value isRest = op.create<nn::EqualOp>(counts, op.constant(Tensor::of<int64_t>({}, {-1})));
    ends = op.create<nn::WhereOp>(isRest, op.constant(Tensor::of<int64_t>({}, {kEnd})),
                                  op.create<nn::AddOp>(begins, counts));
  }
  op.setMoved(0, {0}, [&](Values x) {
    return op.create<nn::SliceOp>(x[0], begins, ends, op.none(), op.none());
  });
}

//===----------------------------------------------------------------------===//
// STRIDED_SLICE
//===----------------------------------------------------------------------===//

namespace {
/// The slice of a NumPy index: an entry of begin, end and stride for each of these.
struct IndexPlan {
  /// Dimensions that are cut, and for each the entry that says how.
  std::vector<int64_t> axes;
  std::vector<size_t> entries;
  /// Dimensions of what is cut that are dropped, and those of the result that are new.
  std::vector<int64_t> dropped, added;
};
} // namespace

/// Goes through the entries as NumPy does: an ellipsis is as many dimensions as no other entry is
/// about.
static IndexPlan planIndex(OpReader &op, const file::StridedSliceOptions &options, size_t entries,
                           int64_t rank) {
  auto has = [](int32_t mask, size_t i) { return (mask >> i & 1) != 0; };
  int64_t cut = 0;
  bool hasEllipsis = false;
  for (size_t i = 0; i < entries; ++i) {
    bool isEllipsis = has(options.ellipsis_mask(), i) && !hasEllipsis;
    hasEllipsis |= isEllipsis;
    cut += !isEllipsis && !has(options.new_axis_mask(), i);
  }
  IndexPlan plan;
  int64_t axis = 0, result = 0;
  hasEllipsis = false;
  for (size_t i = 0; i < entries; ++i) {
    if (has(options.ellipsis_mask(), i) && !hasEllipsis) {
      hasEllipsis = true;
      int64_t whole = std::max<int64_t>(rank - cut, 0);
      axis += whole;
      result += whole;
    } else if (has(options.new_axis_mask(), i)) {
      plan.added.push_back(result++);
    } else {
      plan.axes.push_back(axis);
      plan.entries.push_back(i);
      bool drops = has(options.shrink_mask(), i);
      if (drops)
        plan.dropped.push_back(axis);
      else
        ++result;
      ++axis;
    }
  }
  if (axis > rank)
    op.invalid(fmt::format("a slice of {} dimensions of {}", axis, rank));
  return plan;
}

/// Where an entry begins or ends: what the file says, or `otherwise` where a mask says so.
static Value places(OpReader &op, int input, const IndexPlan &plan,
                    const std::vector<std::optional<int64_t>> &fixed) {
  std::vector<int64_t> numbers, chosen(plan.entries.begin(), plan.entries.end());
  std::optional<std::vector<int64_t>> known = op.constants(input);
  bool areFixed = std::ranges::all_of(fixed, [](auto &entry) { return entry.has_value(); });
  for (size_t i = 0; i < fixed.size(); ++i)
    if (fixed[i] || known)
      numbers.push_back(fixed[i] ? *fixed[i] : (*known)[plan.entries[i]]);
  if (known || areFixed)
    return op.intsConstant(numbers);
  Value given = op.create<nn::GatherOp>(op.sizes(input), op.intsConstant(chosen), /*axis=*/0);
  std::vector<int64_t> filled;
  llvm::SmallVector<bool> isFixed;
  for (const std::optional<int64_t> &entry : fixed) {
    filled.push_back(entry.value_or(0));
    isFixed.push_back(entry.has_value());
  }
  Tensor mask = Tensor::allocate(DType::Bool, {static_cast<int64_t>(isFixed.size())}).take();
  std::copy(isFixed.begin(), isFixed.end(), mask.mutableData<bool>());
  return op.create<nn::WhereOp>(op.constant(mask), op.intsConstant(filled), given);
}

static void importStridedSlice(OpReader &op) {
  const auto &options = op.options<file::StridedSliceOptions>();
  std::vector<int64_t> strides = op.requireConstants(3, "strides");
  int64_t rank = op.rankOf(0);
  constexpr size_t kMost = 31;
  for (int i : {1, 2})
    if (auto known = op.constants(i); known && known->size() != strides.size())
      op.invalid("begins, ends and strides are not equally many");
  if (strides.size() > kMost || std::ranges::count(strides, 0) > 0)
    op.invalid("strides that mean nothing");
  if (options.is_offset())
    op.unsupported("ends that are counted from the begins");
  if (op.failed())
    return;
  IndexPlan plan = planIndex(op, options, strides.size(), rank);
  std::vector<std::optional<int64_t>> begins, ends;
  std::vector<int64_t> steps;
  auto begin = op.constants(1);
  for (size_t entry : plan.entries) {
    bool drops = (options.shrink_mask() >> entry & 1) != 0, isBack = strides[entry] < 0 && !drops;
    bool fromBegin = (options.begin_mask() >> entry & 1) != 0 && !drops;
    bool toEnd = (options.end_mask() >> entry & 1) != 0;
    begins.push_back(fromBegin ? std::optional(isBack ? kEnd : 0) : std::nullopt);
    if (drops && !begin)
      op.unsupported("a dropped dimension whose place a run computes");
    int64_t at = begin ? (*begin)[entry] : 0;
    // One element; behind the last one is the end.
    ends.push_back(drops   ? std::optional(at == -1 ? kEnd : at + 1)
                   : toEnd ? std::optional(isBack ? kBegin : kEnd)
                           : std::nullopt);
    steps.push_back(drops ? 1 : strides[entry]);
  }
  if (op.failed())
    return;
  Value from = places(op, 1, plan, begins), to = places(op, 2, plan, ends);
  op.setMoved(0, {0}, [&](Values x) {
    Value y = x[0];
    if (!plan.axes.empty())
      y = op.create<nn::SliceOp>(y, from, to, op.intsConstant(plan.axes), op.intsConstant(steps));
    if (!plan.dropped.empty())
      y = op.create<nn::SqueezeOp>(y, op.intsConstant(plan.dropped));
    if (!plan.added.empty())
      y = op.create<nn::UnsqueezeOp>(y, op.intsConstant(plan.added));
    return y;
  });
}

//===----------------------------------------------------------------------===//
// Several parts
//===----------------------------------------------------------------------===//

/// Parts of input `data` along an axis, each with `finish`; sizes may be none.
static void setParts(OpReader &op, int data, Value sizes, int64_t axis, bool squeezes) {
  auto count = static_cast<size_t>(op.outputCount());
  auto split = [&](Value x) {
    llvm::SmallVector<Value> parts;
    for (Value part : op.createMulti<nn::SplitOp>(count, x, sizes, axis))
      parts.push_back(squeezes ? op.create<nn::SqueezeOp>(part, op.intsConstant({axis})) : part);
    return parts;
  };
  bool isStored = true;
  for (int i = 0; i < op.outputCount(); ++i)
    isStored &= op.areAlike(i, {data});
  llvm::SmallVector<Value> parts = split(isStored ? op.stored(data) : op.real(data));
  for (int i = 0; i < op.outputCount() && !op.failed(); ++i)
    isStored ? op.setStored(i, parts[i]) : op.setReal(i, parts[i]);
}

static int64_t readAxis(OpReader &op, int input) {
  std::vector<int64_t> axis = op.requireConstants(input, "an axis");
  if (!op.failed() && axis.size() != 1)
    op.invalid("one axis is wanted");
  return op.failed() ? 0 : axis[0];
}

static void importSplit(OpReader &op) { setParts(op, 1, op.none(), readAxis(op, 0), false); }

/// One size may be -1: what is left.
static void importSplitV(OpReader &op) {
  int64_t axis = readAxis(op, 2);
  std::vector<int64_t> sizes = op.requireConstants(1, "sizes of parts");
  auto rest = std::ranges::find(sizes, -1);
  if (rest != sizes.end() && !op.failed()) {
    Value whole = op.sizeOf(op.stored(0), axis);
    auto known = nn::constantInts(whole);
    if (!known)
      return op.unsupported("what is left of a size that a run computes");
    int64_t left = known->front();
    for (int64_t size : sizes)
      left -= size == -1 ? 0 : size;
    *rest = left;
  }
  setParts(op, 0, op.intsConstant(sizes), axis, false);
}

static void importUnpack(OpReader &op) {
  setParts(op, 0, op.none(), op.options<file::UnpackOptions>().axis(), true);
}

static void importReverse(OpReader &op) {
  std::vector<int64_t> axes = op.requireConstants(1, "axes");
  auto all = [&](int64_t value) {
    return op.intsConstant(std::vector<int64_t>(axes.size(), value));
  };
  op.setMoved(0, {0}, [&](Values x) {
    return op.create<nn::SliceOp>(x[0], all(-1), all(kBegin), op.intsConstant(axes), all(-1));
  });
}

std::span<const OpRow> tflite::sliceImports() {
  static constexpr OpRow rows[] = {
      {Op::REVERSE_V2, 2, 2, importReverse},
      {Op::SLICE, 3, 3, importSlice},
      {Op::SPLIT, 2, 2, importSplit},
      {Op::SPLIT_V, 3, 3, importSplitV},
      {Op::STRIDED_SLICE, 4, 4, importStridedSlice},
      {Op::UNPACK, 1, 1, importUnpack},
  };
  return rows;
}
