//===- ImportProducts.cpp - matrix products -------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

/// All but the last dimension that `keep` says of what has become rows.
static Value withDimsOf(OpReader &op, Value rows, Value like) {
  Value shape = joinSizes(op, {createSizes(op, like, 0, -1), op.sizeOf(rows, 1)});
  return op.create<nn::ReshapeOp>(rows, shape, /*allowzero=*/true);
}

/// Rows of `x`, as long as those of the weights, times the transposed weights [units, size].
static void importFullyConnected(OpReader &op) {
  const auto &options = op.options<file::FullyConnectedOptions>();
  constexpr int8_t kRowMajor = 0;
  if (options.weights_format() != kRowMajor)
    return op.unsupported("shuffled weights");
  if (std::optional<nn::Shape> weights = op.inputShape(1); weights && weights->rank() != 2)
    return op.invalid(fmt::format("weights of rank {}", weights->rank()));
  int64_t rank = op.rankOf(0);
  if (op.failed())
    return;
  Value x = op.real(0), weights = op.real(1), rows = x;
  if (rank != 2 || !op.inputShape(0)->operator[](1).provablyEquals(op.inputShape(1)->operator[](1)))
    rows =
        op.create<nn::ReshapeOp>(x, joinSizes(op, {op.intsConstant({-1}), op.sizeOf(weights, 1)}),
                                 /*allowzero=*/true);
  Value y = op.create<nn::GemmOp>(rows, weights, op.real(2), llvm::APFloat(1.0), llvm::APFloat(1.0),
                                  /*trans_a=*/false, /*trans_b=*/true);
  y = createFused(op, y, options.activation());
  bool keepsDims = options.keeps_dims() && rank != 2;
  op.setReal(0, keepsDims ? withDimsOf(op, y, x) : y);
}

/// `value` with its last two dimensions exchanged.
static Value adjoint(OpReader &op, Value value) {
  std::optional<nn::Shape> shape = nn::shapeOf(value);
  if (!shape || shape->rank() < 2) {
    op.unsupported("factors of unknown rank, or of one below 2");
    return value;
  }
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < shape->rank(); ++i)
    perm.push_back(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return op.create<nn::TransposeOp>(value, perm);
}

static void importBatchMatMul(OpReader &op) {
  const auto &options = op.options<file::BatchMatMulOptions>();
  Value a = op.real(0), b = op.real(1);
  if (options.adjoint_x())
    a = adjoint(op, a);
  if (options.adjoint_y())
    b = adjoint(op, b);
  op.setReal(0, op.create<nn::MatMulOp>(a, b));
}

/// Rows of a table; the numbers of rows come first.
static void importEmbeddingLookup(OpReader &op) {
  op.setMoved(0, {1}, [&](llvm::ArrayRef<Value> table) {
    return op.create<nn::GatherOp>(table[0], op.stored(0), /*axis=*/0);
  });
}

std::span<const OpRow> tflite::productImports() {
  static constexpr OpRow rows[] = {
      {Op::BATCH_MATMUL, 2, 2, importBatchMatMul},
      {Op::EMBEDDING_LOOKUP, 2, 2, importEmbeddingLookup},
      {Op::FULLY_CONNECTED, 2, 3, importFullyConnected},
  };
  return rows;
}
