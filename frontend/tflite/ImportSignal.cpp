//===- ImportSignal.cpp - transforms of signals, complex numbers ----------===//
#include "frontend/compose/Composition.h"
#include "frontend/tflite/OpTable.h"
#include "ir/SignalOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::tflite;
using mlir::Value;
using Op = file::BuiltinOperator;

//===----------------------------------------------------------------------===//
// Transforms
//===----------------------------------------------------------------------===//

/// The last two dimensions with these sizes: with zeros behind, or without what is behind.
static Value resized(OpReader &op, Value x, int64_t rank, const std::vector<int64_t> &lengths) {
  std::vector<int64_t> before(static_cast<size_t>(2 * rank - 2), 0);
  Value sizes = createSizes(op, x, rank - 2);
  Value behind = op.create<nn::SubOp>(op.intsConstant(lengths), sizes);
  Value pads = joinSizes(op, {op.intsConstant(before), behind});
  return op.create<nn::PadOp>(x, pads, op.none(), PadMode::Constant);
}

/// Of the last two dimensions, of real numbers: of the last one half the frequencies tell the
/// others. In float64, as LiteRT has it.
static void importRfft2d(OpReader &op) {
  std::vector<int64_t> lengths = op.requireConstants(1, "lengths of a transform");
  int64_t rank = op.rankOf(0);
  if (op.failed())
    return;
  if (rank < 2 || lengths.size() != 2)
    return op.invalid(fmt::format("two lengths of a tensor of rank 2 or more are wanted, found {} "
                                  "and rank {}",
                                  lengths.size(), rank));
  if (lengths[0] < 1 || lengths[1] < 1)
    return op.invalid(
        fmt::format("lengths must be 1 or more, found {} and {}", lengths[0], lengths[1]));
  Value x = convert(op, resized(op, op.real(0), rank, lengths), DType::Float64);
  x = op.create<nn::UnsqueezeOp>(x, op.intsConstant({rank}));
  x = op.create<nn::DftOp>(x, op.intsConstant({rank - 1}), /*inverse=*/false);
  x = op.create<nn::SliceOp>(x, op.intsConstant({0}), op.intsConstant({lengths[1] / 2 + 1}),
                             op.intsConstant({rank - 1}), op.none());
  if (lengths[0] > 1)
    x = op.create<nn::DftOp>(x, op.intsConstant({rank - 2}), /*inverse=*/false);
  x = convert(op, x, DType::Float32);
  mlir::Type complex = nn::elementTypeOf(op.builder().getContext(), DType::Complex64);
  op.setStored(0, op.create<nn::BitCastOp>(x, complex));
}

//===----------------------------------------------------------------------===//
// Complex numbers
//===----------------------------------------------------------------------===//

/// Real and imaginary parts of input 0, along a dimension behind the others.
static Value partsOf(OpReader &op) {
  auto complex = mlir::dyn_cast<mlir::ComplexType>(nn::elementTypeOf(op.stored(0)));
  if (complex)
    return op.create<nn::BitCastOp>(op.stored(0), complex.getElementType());
  op.invalid("input 0 must hold complex numbers");
  return op.stored(0);
}

static Value part(OpReader &op, Value parts, int64_t at) {
  return op.create<nn::GatherOp>(parts, op.scalarConstant(static_cast<double>(at), DType::Int64),
                                 /*axis=*/int64_t{-1});
}

template <int64_t Number> static void importPart(OpReader &op) {
  op.setStored(0, part(op, partsOf(op), Number));
}

/// The squares of what is large, or small, are within float64.
static void importComplexAbs(OpReader &op) {
  Value parts = partsOf(op);
  if (op.failed())
    return;
  DType dtype = dtypeOf(parts);
  Value wide = convert(op, parts, DType::Float64);
  Value squares = op.create<nn::MulOp>(wide, wide);
  Value sum = op.create<nn::AddOp>(part(op, squares, 0), part(op, squares, 1));
  op.setStored(0, convert(op, op.create<nn::SqrtOp>(sum), dtype));
}

std::span<const OpRow> tflite::signalImports() {
  static constexpr OpRow rows[] = {
      {Op::COMPLEX_ABS, 1, 1, importComplexAbs},
      {Op::IMAG, 1, 1, importPart<1>},
      {Op::REAL, 1, 1, importPart<0>},
      {Op::RFFT2D, 2, 2, importRfft2d},
  };
  return rows;
}
