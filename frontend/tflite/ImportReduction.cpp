//===- ImportReduction.cpp - along axes -----------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

/// No axes: the tensor stays as it is.
static Value reduce(OpReader &op, Value x, ReduceKind kind) {
  return op.create<nn::ReduceOp>(x, op.sizes(1), kind,
                                 op.options<file::ReducerOptions>().keeps_dims(),
                                 /*noop_with_empty_axes=*/true);
}

template <ReduceKind kind> static void importReduce(OpReader &op) {
  op.setReal(0, reduce(op, op.real(0), kind));
}

/// The largest or smallest of what is stored.
template <ReduceKind kind> static void importExtreme(OpReader &op) {
  op.setMoved(0, {0}, [&](llvm::ArrayRef<Value> x) { return reduce(op, x[0], kind); });
}

/// Of bools, as numbers.
template <ReduceKind kind> static void importReduceBools(OpReader &op) {
  Value found = reduce(op, convert(op, op.stored(0), DType::Int32), kind);
  op.setStored(0, convert(op, found, DType::Bool));
}

template <ReduceKind kind> static void importArgReduce(OpReader &op) {
  std::vector<int64_t> axis = op.requireConstants(1, "an axis");
  if (op.failed() || axis.size() != 1)
    return op.invalid("one axis is wanted");
  Value found = op.create<nn::ArgReduceOp>(op.stored(0), kind, axis[0], /*keepdims=*/false,
                                           /*select_last_index=*/false);
  op.setStored(0, convert(op, found, op.outputDType(0)));
}

static void importTopK(OpReader &op) {
  llvm::SmallVector<Value> results;
  auto create = [&](Value x) {
    auto found = op.createMulti<nn::TopKOp>(2, x, op.sizes(1), /*axis=*/-1, /*largest=*/true);
    results.assign(found.begin(), found.end());
    return results[0];
  };
  op.setMoved(0, {0}, [&](llvm::ArrayRef<Value> x) { return create(x[0]); });
  if (!op.failed() && op.outputCount() > 1)
    op.setStored(1, convert(op, results[1], op.outputDType(1)));
}

static void importCumsum(OpReader &op) {
  const auto &options = op.options<file::CumsumOptions>();
  std::vector<int64_t> axis = op.requireConstants(1, "an axis");
  if (op.failed() || axis.size() != 1)
    return op.invalid("one axis is wanted");
  op.setReal(0,
             op.create<nn::CumulateOp>(op.real(0), op.constant(Tensor::of<int64_t>({}, {axis[0]})),
                                       ReduceKind::Sum, options.exclusive(), options.reverse()));
}

std::span<const OpRow> tflite::reductionImports() {
  static constexpr OpRow rows[] = {
      {Op::ARG_MAX, 2, 2, importArgReduce<ReduceKind::Max>},
      {Op::ARG_MIN, 2, 2, importArgReduce<ReduceKind::Min>},
      {Op::CUMSUM, 2, 2, importCumsum},
      {Op::MEAN, 2, 2, importReduce<ReduceKind::Mean>},
      {Op::REDUCE_ALL, 2, 2, importReduceBools<ReduceKind::Min>},
      {Op::REDUCE_ANY, 2, 2, importReduceBools<ReduceKind::Max>},
      {Op::REDUCE_MAX, 2, 2, importExtreme<ReduceKind::Max>},
      {Op::REDUCE_MIN, 2, 2, importExtreme<ReduceKind::Min>},
      {Op::REDUCE_PROD, 2, 2, importReduce<ReduceKind::Prod>},
      {Op::SUM, 2, 2, importReduce<ReduceKind::Sum>},
      {Op::TOPK_V2, 2, 2, importTopK},
  };
  return rows;
}
