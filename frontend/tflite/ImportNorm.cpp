//===- ImportNorm.cpp - softmax and norms ---------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/Images.h"
#include "frontend/tflite/OpTable.h"

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

static void importSoftmax(OpReader &op) {
  // Files that do not say it mean 1.
  double beta = op.hasOptions() ? op.options<file::SoftmaxOptions>().beta() : 1;
  Value x = op.real(0);
  if (beta != 1)
    x = op.create<nn::MulOp>(x, constantLike(op, beta, x));
  op.setReal(0, op.create<nn::SoftmaxOp>(x, /*axis=*/-1, /*trailing=*/false));
}

static void importLogSoftmax(OpReader &op) {
  op.setReal(0, op.create<nn::SoftmaxOp>(op.real(0), /*axis=*/-1, /*trailing=*/false,
                                         /*logarithm=*/true));
}

/// Each vector along the last axis by its length, which counts as 1e-6 at least.
static void importL2Norm(OpReader &op) {
  Value x = op.real(0);
  Value sum = op.create<nn::ReduceOp>(op.create<nn::MulOp>(x, x), op.intsConstant({-1}),
                                      ReduceKind::Sum, /*keepdims=*/true,
                                      /*noop_with_empty_axes=*/false);
  Value length = op.create<nn::MaxOp>(op.create<nn::SqrtOp>(sum), constantLike(op, 1e-6, sum));
  Value y = op.create<nn::DivOp>(x, length);
  op.setReal(0, createFused(op, y, op.options<file::ActivationOptions>().activation()));
}

/// x / (bias + alpha * sum of squares of `radius` neighbours on each side)^beta; nn.lrn has the
/// mean of as many.
static void importLocalResponse(OpReader &op) {
  const auto &options = op.options<file::LocalResponseOptions>();
  if (!checkRank(op, 0, 4) || !checkWindow(op, {int64_t{options.radius()} + 1}))
    return;
  int64_t size = 2 * int64_t{options.radius()} + 1;
  Value y = op.create<nn::LrnOp>(
      channelsToFront(op, op.real(0)), llvm::APFloat(double(options.alpha()) * double(size)),
      llvm::APFloat(double(options.beta())), llvm::APFloat(double(options.bias())), size);
  op.setReal(0, channelsToBack(op, y));
}

std::span<const OpRow> tflite::normImports() {
  static constexpr OpRow rows[] = {
      {Op::L2_NORMALIZATION, 1, 1, importL2Norm},
      {Op::LOCAL_RESPONSE_NORMALIZATION, 1, 1, importLocalResponse},
      {Op::LOG_SOFTMAX, 1, 1, importLogSoftmax},
      {Op::SOFTMAX, 1, 1, importSoftmax},
  };
  return rows;
}
