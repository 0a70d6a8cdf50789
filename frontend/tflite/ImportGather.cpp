//===- ImportGather.cpp - elements by index -------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"
#include "ir/GatherOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;
using Values = llvm::ArrayRef<Value>;

static void importGather(OpReader &op) {
  const auto &options = op.options<file::GatherOptions>();
  int64_t axis = options.axis(), batch = options.batch_dims(), rank = op.rankOf(1);
  batch = batch < 0 ? batch + rank : batch;
  if (batch == 0)
    return op.setMoved(0, {0},
                       [&](Values x) { return op.create<nn::GatherOp>(x[0], op.stored(1), axis); });
  axis = axis < 0 ? axis + op.rankOf(0) : axis;
  if (axis != batch)
    return op.unsupported(fmt::format("axis {} after {} batch dimensions", axis, batch));
  op.setMoved(0, {0}, [&](Values x) {
    Value tuples = op.create<nn::UnsqueezeOp>(op.stored(1), op.intsConstant({-1}));
    return op.create<nn::GatherNDOp>(x[0], convert(op, tuples, DType::Int64), batch);
  });
}

static void importGatherNd(OpReader &op) {
  op.setMoved(0, {0}, [&](Values x) {
    return op.create<nn::GatherNDOp>(x[0], convert(op, op.stored(1), DType::Int64),
                                     /*batch_dims=*/int64_t{0});
  });
}

/// Sums of updates, where there are none zeros, of the shape that input 2 says.
static void importScatterNd(OpReader &op) {
  op.setMoved(0, {1}, [&](Values updates) {
    Value zero = convert(op, op.scalarConstant(0, DType::Int32), frontend::dtypeOf(updates[0]));
    Value zeros = op.create<nn::ExpandOp>(zero, op.sizes(2));
    return op.create<nn::ScatterNDOp>(zeros, convert(op, op.stored(0), DType::Int64), updates[0],
                                      ScatterReduction::Add);
  });
}

/// Inputs: indices, how many classes, the value of the class, the others'.
static void importOneHot(OpReader &op) {
  int64_t axis = op.options<file::OneHotOptions>().axis(), rank = op.rankOf(0);
  std::vector<int64_t> depth = op.requireConstants(1, "a number of classes");
  if (!op.failed() && (depth.size() != 1 || axis < -1 || axis > rank))
    op.invalid("a number of classes or an axis that means nothing");
  if (op.failed())
    return;
  int64_t at = axis == -1 ? rank : axis;
  Value classes = op.createCount(op.intsConstant({depth[0]}));
  std::vector<int64_t> after;
  for (int64_t i = at; i < rank; ++i)
    after.push_back(i - at + 1);
  if (!after.empty())
    classes = op.create<nn::UnsqueezeOp>(classes, op.intsConstant(after));
  Value indices =
      op.create<nn::UnsqueezeOp>(convert(op, op.stored(0), DType::Int64), op.intsConstant({at}));
  Value isClass = op.create<nn::EqualOp>(indices, classes);
  op.setMoved(0, {2, 3}, [&](Values x) { return op.create<nn::WhereOp>(isClass, x[0], x[1]); });
}

/// The places of what is not zero, one in each row.
static void importWhere(OpReader &op) {
  Value places = op.create<nn::NonZeroOp>(op.stored(0));
  op.setStored(0, op.create<nn::TransposeOp>(places, llvm::ArrayRef<int64_t>{1, 0}));
}

std::span<const OpRow> tflite::gatherImports() {
  static constexpr OpRow rows[] = {
      {Op::GATHER, 2, 2, importGather},  {Op::GATHER_ND, 2, 2, importGatherNd},
      {Op::ONE_HOT, 4, 4, importOneHot}, {Op::SCATTER_ND, 3, 3, importScatterNd},
      {Op::WHERE, 1, 1, importWhere},
  };
  return rows;
}
