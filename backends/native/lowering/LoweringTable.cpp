//===- LoweringTable.cpp - what lowers each op ----------------------------===//
#include "backends/native/lowering/LoweringTable.h"

#include "ir/NNOps.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// An op that has no native code.
template <typename Op>
static LoweringRow reference(const char *text, ReasonCode code = ReasonCode::NoKernel) {
  return {TypeID::get<Op>(), Op::getOperationName(), {}, Reason{code, text}};
}

/// The ops that always run on their reference kernels.
static std::span<const LoweringRow> referenceRows() {
  static const LoweringRow rows[] = {
      // DataMovement
      reference<nn::ShapeOp>("sizes are known before a run"),
      reference<nn::NonZeroOp>("the size of the result depends on data", ReasonCode::DataDependent),
      // Label
      reference<nn::LookupOp>("no native code for labels"),
      reference<nn::CouplePairsOp>("no native code for probabilities of pairs"),
      reference<nn::ZipMapOp>("no native code for sequences and maps"),
      reference<nn::MapEntriesOp>("no native code for sequences and maps"),
      // Image
      reference<nn::ImageDecodeOp>("no native code for decoding images"),
      // Selection
      reference<nn::NonMaxSuppressionOp>("the size of the result depends on data",
                                         ReasonCode::DataDependent),
      reference<nn::SoftSuppressionOp>("no native code for the choice of boxes"),
      reference<nn::UniqueOp>("the size of the result depends on data", ReasonCode::DataDependent),
      // Text
      reference<nn::StringConcatOp>("no native code for strings"),
      reference<nn::StringNormalizeOp>("no native code for strings"),
      reference<nn::StringSplitOp>("no native code for strings"),
      reference<nn::RegexMatchOp>("no native code for strings"),
      reference<nn::TfIdfOp>("no native code for n-grams"),
      // Sequence
      reference<nn::SequenceOp>("no native code for sequences"),
      reference<nn::SequenceSpliceOp>("no native code for sequences"),
      reference<nn::SequenceAtOp>("no native code for sequences"),
      reference<nn::SequenceLengthOp>("no native code for sequences"),
      reference<nn::SequenceConcatOp>("no native code for sequences"),
      reference<nn::SequenceSplitOp>("no native code for sequences"),
      reference<nn::OptionalOp>("no native code for optionals"),
      reference<nn::OptionalHasOp>("no native code for optionals"),
      reference<nn::OptionalGetOp>("no native code for optionals"),
      // Quant: else taken apart by DecomposeQuantization
      reference<nn::QuantizeOp>("scales of a rank that only a run tells"),
      reference<nn::DequantizeOp>("scales of a rank that only a run tells"),
      reference<nn::MatMulIntegerOp>("zero points of a rank that only a run tells"),
      reference<nn::ConvIntegerOp>("weights or zero points of a rank that only a run tells"),
      // Random, Signal
      reference<nn::RandomOp>("the numbers come from the generator of the process",
                              ReasonCode::Generator),
      reference<nn::DftOp>("no native code for Fourier transforms"),
      // LinearAlgebra
      reference<nn::DetOp>("no native code for determinants"),
      // ControlFlow
      reference<nn::IfOp>("no native code for control flow"),
      reference<nn::LoopOp>("no native code for control flow"),
      reference<nn::ScanOp>("no native code for control flow"),
      reference<nn::FailOp>("it is an error to run it"),
  };
  return rows;
}

std::span<const LoweringRow> native::loweringTable() {
  static const std::vector<LoweringRow> rows = [] {
    std::vector<LoweringRow> all;
    for (auto rowsOfFamily :
         {contractionLowerings, blockMatMulLowerings, convLowerings, windowSumLowerings,
          poolLowerings, reductionLowerings, normalizationLowerings, dataMovementLowerings,
          packLowerings, resizeLowerings, gatherLowerings, treeLowerings, attentionLowerings,
          recurrentLowerings, visionLowerings, referenceRows})
      llvm::append_range(all, rowsOfFamily());
    return all;
  }();
  return rows;
}

const LoweringRow *native::findLowering(Operation *op) {
  static const auto byOp = [] {
    llvm::DenseMap<TypeID, const LoweringRow *> map;
    for (const LoweringRow &row : loweringTable())
      map[row.op] = &row;
    return map;
  }();
  return byOp.lookup(op->getName().getTypeID());
}
