//===- DataMovementOps.td - shapes, moves and copies ----------------------===//
#ifndef QUERN_IR_DATAMOVEMENTOPS_TD
#define QUERN_IR_DATAMOVEMENTOPS_TD

include "ir/NNBase.td"

// Shape, axes and index operands are int64 (or, where ONNX allows, int32)
// tensors; negative axes count from the end, as in ONNX.

def NN_CastOp : NN_Op<"cast"> {
  let summary = "converts elements to type `to`; float to integer saturates, NaN gives 0";
  let description = [{
    `saturate` is about floats of 8 bits and less: whether what is too large becomes their
    largest value, else infinity or NaN. `rounding` is that of float8e8m0.
  }];
  let arguments = (ins NN_Tensor:$input, TypeAttr:$to,
    DefaultValuedAttr<BoolAttr, "true">:$saturate,
    DefaultValuedAttr<NN_CastRoundingAttr, "::quern::CastRounding::Nearest">:$rounding);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Elementwise; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Agnostic; }
  }];
}

def NN_BitCastOp : NN_Op<"bitcast"> {
  let summary = "the bits of elements as numbers of another type `to` of as many bytes";
  let description = [{
    A complex number is as well two floats, real and imaginary part: the last dimension.
  }];
  let arguments = (ins NN_Tensor:$input, TypeAttr:$to);
  let results = (outs NN_Tensor:$result);
}

def NN_ConcatOp : NN_Op<"concat", [NN_AxisOpInterface, NN_CommutesWithRounding]> {
  let arguments = (ins Variadic<NN_Tensor>:$inputs, NN_AxisAttr:$axis);
  let results = (outs NN_Tensor:$result);
  let summary = "of tensors with the same layout";
  let extraClassDeclaration = [{
    ::std::optional<int64_t> getAxisRank();
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }
  }];
}

def NN_SplitOp : NN_Op<"split", [NN_AxisOpInterface, NN_CommutesWithRounding]> {
  let summary = "sizes from `sizes`; equal parts (the last may be smaller) when none";
  let arguments = (ins NN_Tensor:$input, NN_OptionalTensor:$sizes, NN_AxisAttr:$axis);
  let results = (outs Variadic<NN_Tensor>:$results);
}

def NN_SliceOp : NN_Op<"slice", [NN_CommutesWithRounding]> {
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$starts, NN_Tensor:$ends,
    NN_OptionalTensor:$axes, NN_OptionalTensor:$steps);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    /// The dimensions that are cut, counted from the front; nullopt while they or
    /// the rank of the input are unknown.
    ::std::optional<::llvm::SmallVector<int64_t>> getCutDimensions(const ::quern::nn::ShapeFacts &facts);
  }];
}

def NN_ReshapeOp : NN_Op<"reshape", [NN_CommutesWithRounding]> {
  let summary = "-1 is inferred, 0 copies the input's dimension unless `allowzero`";
  let description = [{
    Elements keep their order in memory. The result's type says in which layout they are
    read then: a blocked image of 1x1 pixels in whole blocks is a reshaped plain one.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$shape, BoolAttr:$allowzero);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = NN_Blockable.declaration;
}

def NN_FlattenOp : NN_Op<"flatten", [NN_AxisOpInterface, NN_CommutesWithRounding]> {
  let arguments = (ins NN_Tensor:$input, NN_AxisAttr:$axis);
  let results = (outs NN_Tensor:$result);
}

def NN_TransposeOp : NN_Op<"transpose", [NN_CommutesWithRounding]> {
  let summary = "result dimension i is input dimension perm[i]; an empty perm reverses";
  let arguments = (ins NN_Tensor:$input, DenseI64ArrayAttr:$perm);
  let results = (outs NN_Tensor:$result);
}

def NN_SqueezeOp : NN_Op<"squeeze", [NN_CommutesWithRounding]> {
  let summary = "removes the dimensions in `axes`, or all of size 1 when none";
  let arguments = (ins NN_Tensor:$input, NN_OptionalTensor:$axes);
  let results = (outs NN_Tensor:$result);
}

def NN_UnsqueezeOp : NN_Op<"unsqueeze", [NN_CommutesWithRounding]> {
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$axes);
  let results = (outs NN_Tensor:$result);
}

def NN_ExpandOp : NN_Op<"expand", [NN_CommutesWithRounding]> {
  let summary = "broadcasts to the common shape of input and `shape`";
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$shape);
  let results = (outs NN_Tensor:$result);
}

def NN_TileOp : NN_Op<"tile", [NN_CommutesWithRounding]> {
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$repeats);
  let results = (outs NN_Tensor:$result);
}

def NN_PadOp : NN_Op<"pad", [NN_CommutesWithRounding]> {
  let summary = "`pads`: begins of all axes, then ends (negative crops)";
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$pads, NN_OptionalTensor:$value,
    NN_PadModeAttr:$mode);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $mode operands attr-dict `:` functional-type(operands, results)";
}

def NN_GatherOp : NN_Op<"gather", [NN_AxisOpInterface, NN_CommutesWithRounding]> {
  let summary = "NumPy take along `axis`; an index outside [-n, n) is an error";
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$indices, NN_AxisAttr:$axis);
  let results = (outs NN_Tensor:$result);
}

def NN_ShapeOp : NN_Op<"shape"> {
  let summary = "dimensions [start, end) of the input as int64; negative counts from the end";
  let arguments = (ins NN_Tensor:$input, NN_IntAttr:$start, OptionalAttr<NN_IntAttr>:$end);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    /// The part of a list of `rank` sizes that it selects.
    template <typename Sizes> Sizes select(const Sizes &sizes) {
      int64_t rank = sizes.size();
      auto clamped = [rank](int64_t i) {
        return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank);
      };
      int64_t start = clamped(getStart()), end = clamped(getEnd().value_or(rank));
      return Sizes(sizes.begin() + start, sizes.begin() + std::max(start, end));
    }
  }];
}

def NN_RangeOp : NN_Op<"range"> {
  let arguments = (ins NN_Tensor:$start, NN_Tensor:$limit, NN_Tensor:$delta);
  let results = (outs NN_Tensor:$result);
}

def NN_NonZeroOp : NN_Op<"nonzero"> {
  let summary = "the indices of the elements that are not zero, in row-major order: [rank, count]";
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_Tensor:$result);
}

def NN_ResizeOp : NN_Op<"resize"> {
  let summary = "ONNX Resize; scales or sizes are given";
  let description = [{
    `sizes` are those of the result and `scales` say how coordinates map; what is left out
    follows from the other. With `antialias`, linear and cubic weights widen by as much as
    an axis shrinks.
  }];
  let arguments = (ins NN_Tensor:$input, NN_OptionalTensor:$roi, NN_OptionalTensor:$scales,
    NN_OptionalTensor:$sizes, NN_ResizeModeAttr:$mode,
    NN_ResizeCoordinatesAttr:$coordinate_transformation_mode, NN_NearestModeAttr:$nearest_mode,
    F64Attr:$cubic_coeff_a, BoolAttr:$exclude_outside, F64Attr:$extrapolation_value,
    DefaultValuedAttr<BoolAttr, "false">:$antialias);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = [{
    `` $mode `(` `` $coordinate_transformation_mode `,` `` $nearest_mode `)` operands attr-dict `:`
    functional-type(operands, results)
  }];
}

#endif // QUERN_IR_DATAMOVEMENTOPS_TD
