//===- GrowCaches.cpp - caches that grow along their first dimension ------===//
//
// Decoders take what earlier tokens left, "past" keys and values, and return it with that of the
// new ones: present = concat(past, new), mostly [batch, heads, length, size] along the length. So
// each run would move all of the past, head by head. With the length in front,
//
//   present' = concat(past', transpose(new)),   present = transpose(present'),
//
// past' is the beginning of present', and nothing moves where the caller has both begin at one
// place (PlanPort::updates). The transpositions that all else gets are seen through, as attention
// reads keys and values by strides.
//
//===----------------------------------------------------------------------===//
#include "passes/GrowCaches.h"

#include "ir/Signature.h"
#include "passes/Composer.h"
#include "passes/Passes.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_GROWCACHESPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
/// present = concat(past, ...) along `axis`.
struct Cache {
  ConcatOp present;
  BlockArgument past;
  int64_t axis;
};
} // namespace

/// [axis, 0, 1, ...]
static SmallVector<int64_t> axisFirst(int64_t axis, int64_t rank) {
  SmallVector<int64_t> perm = {axis};
  for (int64_t d = 0; d < rank; ++d)
    if (d != axis)
      perm.push_back(d);
  return perm;
}

static SmallVector<int64_t> inverseOf(ArrayRef<int64_t> perm) {
  SmallVector<int64_t> inverse(perm.size());
  for (auto [i, d] : llvm::enumerate(perm))
    inverse[d] = static_cast<int64_t>(i);
  return inverse;
}

static Type permuted(Type type, ArrayRef<int64_t> perm) {
  Shape shape = *shapeOf(type);
  DimVector dims;
  for (int64_t d : perm)
    dims.push_back(shape[d]);
  return tensorType(Shape(std::move(dims)), elementTypeOf(type));
}

/// `value`, if it continues an argument that does not lie at its beginning already.
static std::optional<Cache> cacheOf(Value value) {
  auto concat = value.getDefiningOp<ConcatOp>();
  if (!concat || concat.getInputs().size() < 2)
    return std::nullopt;
  auto past = dyn_cast<BlockArgument>(concat.getInputs().front());
  std::optional<Shape> shape = past ? shapeOf(past.getType()) : std::nullopt;
  std::optional<Shape> whole = shapeOf(value.getType());
  if (!shape || !whole || whole->rank() != shape->rank() ||
      llvm::any_of(concat.getInputs(), [](Value input) { return !shapeOf(input.getType()); }))
    return std::nullopt;
  int64_t rank = shape->rank(), axis = concat.getAxis();
  axis += axis < 0 ? rank : 0;
  auto isOne = [](const Dim &dim) { return dim.isStatic() && dim.size() == 1; };
  if (axis < 0 || axis >= rank ||
      llvm::all_of(llvm::ArrayRef(shape->dims()).take_front(axis), isOne))
    return std::nullopt;
  return Cache{concat, past, axis};
}

/// Makes past and present those with the length in front, and returns the present.
static Value grow(const Cache &cache) {
  ConcatOp concat = cache.present;
  BlockArgument past = cache.past;
  SmallVector<int64_t> perm = axisFirst(cache.axis, shapeOf(past.getType())->rank());
  SmallVector<int64_t> back = inverseOf(perm);
  // Whoever else reads the past sees it as it was.
  OpBuilder atStart = OpBuilder::atBlockBegin(past.getOwner());
  auto asGiven = atStart.create<TransposeOp>(past.getLoc(), past.getType(), past, back);
  past.replaceAllUsesExcept(asGiven.getResult(), asGiven);
  past.setType(permuted(past.getType(), perm));

  OpBuilder builder(concat);
  Composer make(builder, concat.getLoc());
  SmallVector<Value> parts = {past};
  for (Value input : concat.getInputs().drop_front())
    parts.push_back(make.create<TransposeOp>(input, perm));
  Type type = concat.getResult().getType();
  Value present =
      builder.create<ConcatOp>(concat.getLoc(), permuted(type, perm), parts, /*axis=*/0);
  Value read = builder.create<TransposeOp>(concat.getLoc(), type, present, back);
  concat.getResult().replaceAllUsesWith(read);
  concat.erase();
  if (asGiven.getResult().use_empty())
    asGiven.erase();
  return present;
}

void passes::growCaches(func::FuncOp main) {
  auto end = cast<func::ReturnOp>(main.getBody().back().getTerminator());
  for (OpOperand &output : end->getOpOperands()) {
    // An output may be there twice: the second time it is a transposition.
    if (std::optional<Cache> cache = cacheOf(output.get())) {
      Value present = grow(*cache);
      output.set(present);
    }
  }
  main.setFunctionType(FunctionType::get(main.getContext(), main.getBody().getArgumentTypes(),
                                         end->getOperandTypes()));
}

namespace {
struct GrowCachesPass : passes::impl::GrowCachesPassBase<GrowCachesPass> {
  void runOnOperation() override { growCaches(getOperation()); }
};
} // namespace
