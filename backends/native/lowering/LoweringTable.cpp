//===- LoweringTable.cpp - what lowers each op ----------------------------===//
#include "backends/native/lowering/LoweringTable.h"

#include "backends/native/lowering/LowerAttention.h"
#include "backends/native/lowering/LowerGather.h"
#include "backends/native/lowering/LowerResize.h"
#include "backends/native/lowering/LowerVision.h"
#include "backends/native/lowering/LowerWindows.h"
#include "ir/NNOps.h"

#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

/// An op with several ways.
template <typename Op> static LoweringRow lowered(std::span<const Way> ways) {
  return {TypeID::get<Op>(), Op::getOperationName(), ways, std::nullopt};
}

/// An op that one of the functions `lower` lowers.
template <typename Op> static LoweringRow lowered() {
  static constexpr Way only[] = {
      {"only", nullptr, nullptr,
       [](Operation *op, const LoweringContext &context) { return lower(cast<Op>(op), context); }}};
  return lowered<Op>(only);
}

/// An op that has no native code.
template <typename Op>
static LoweringRow reference(const char *text, ReasonCode code = ReasonCode::NoKernel) {
  return {TypeID::get<Op>(), Op::getOperationName(), {}, Reason{code, text}};
}

std::span<const LoweringRow> native::loweringTable() {
  static const LoweringRow rows[] = {
      // Contraction
      lowered<nn::MatMulOp>(matMulWays()),
      lowered<nn::GemmOp>(gemmWays()),
      // Conv
      lowered<nn::ConvOp>(convWays()),
      lowered<nn::ConvTransposeOp>(),
      // Pool
      lowered<nn::MaxPoolOp>(),
      lowered<nn::AveragePoolOp>(),
      lowered<nn::GlobalPoolOp>(),
      lowered<nn::MaxPoolWithIndicesOp>(),
      // Reduction
      lowered<nn::ReduceOp>(reduceWays()),
      lowered<nn::SoftmaxOp>(),
      lowered<nn::ArgReduceOp>(),
      lowered<nn::CumulateOp>(),
      lowered<nn::TopKOp>(),
      // Normalization
      lowered<nn::BatchNormOp>(),
      lowered<nn::InstanceNormOp>(),
      lowered<nn::LayerNormOp>(),
      lowered<nn::LrnOp>(),
      // DataMovement
      lowered<nn::BitCastOp>(),
      lowered<nn::ConcatOp>(),
      lowered<nn::SplitOp>(),
      lowered<nn::SliceOp>(),
      lowered<nn::ReshapeOp>(),
      lowered<nn::FlattenOp>(),
      lowered<nn::TransposeOp>(),
      lowered<nn::SqueezeOp>(),
      lowered<nn::UnsqueezeOp>(),
      lowered<nn::ExpandOp>(),
      lowered<nn::TileOp>(),
      lowered<nn::PadOp>(),
      lowered<nn::GatherOp>(),
      lowered<nn::PackOp>(),
      lowered<nn::UnpackOp>(),
      reference<nn::ShapeOp>("sizes are known before a run"),
      lowered<nn::RangeOp>(),
      reference<nn::NonZeroOp>("the size of the result depends on data", ReasonCode::DataDependent),
      lowered<nn::ResizeOp>(),
      // Gather
      lowered<nn::GatherElementsOp>(),
      lowered<nn::GatherNDOp>(),
      lowered<nn::ScatterElementsOp>(),
      lowered<nn::ScatterNDOp>(),
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
      // Random, Signal
      reference<nn::RandomOp>("the numbers come from the generator of the process",
                              ReasonCode::Generator),
      reference<nn::DftOp>("no native code for Fourier transforms"),
      // Tree
      lowered<nn::TreeEnsembleOp>(),
      // Attention
      lowered<nn::AttentionOp>(),
      // Recurrent
      lowered<nn::RecurrentOp>(),
      // Vision
      lowered<nn::GridSampleOp>(),
      lowered<nn::RoiPoolOp>(),
      lowered<nn::Col2ImOp>(),
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

const LoweringRow *native::findLowering(Operation *op) {
  static const auto byOp = [] {
    llvm::DenseMap<TypeID, const LoweringRow *> map;
    for (const LoweringRow &row : loweringTable())
      map[row.op] = &row;
    return map;
  }();
  return byOp.lookup(op->getName().getTypeID());
}
