//===- QuantOps.td - from numbers to small ones and back ------------------===//
//
// Products of what is quantized are nn.matmul_integer (ContractionOps.td) and
// nn.conv_integer (ConvOps.td).
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_IR_QUANTOPS_TD
#define QUERN_IR_QUANTOPS_TD

include "ir/ElementwiseBase.td"

/// An op with a scale and a zero point of the whole of `x`, of each position of a dimension,
/// or of blocks.
class NN_ScaledOp<string mnemonic> : NN_Op<mnemonic, [NN_AxisOpInterface]> {
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    /// nullopt also where scale and zero point are scalars: the axis has no meaning then.
    ::std::optional<int64_t> getAxisRank();
  }];
}

def NN_QuantizeOp : NN_ScaledOp<"quantize"> {
  let summary = "saturate(round(x / scale) + zero_point) as elements of type `to`";
  let description = [{
    `scale` and `zero_point` (none: 0) are each a scalar or a vector of one, for the whole
    tensor; a vector, for the positions of dimension `axis`; or, with `block_size` other than 0,
    of the rank of `x`, for blocks of so many neighbours along `axis`, of which the last may be
    smaller.

    The quotient is one of `precision`, in which halves round to even; the zero point is added in
    float32. Floats of 8 bits and less are not rounded to whole numbers, but once to their type;
    `saturate` is about them: see nn.cast.
  }];
  let arguments = (ins NN_Tensor:$x, NN_Tensor:$scale, NN_OptionalTensor:$zero_point, TypeAttr:$to,
      TypeAttr:$precision, DefaultValuedAttr<NN_AxisAttr, "0">:$axis,
      DefaultValuedAttr<NN_IntAttr, "0">:$block_size,
      DefaultValuedAttr<BoolAttr, "true">:$saturate);
}

def NN_DequantizeOp : NN_ScaledOp<"dequantize"> {
  let summary = "(x - zero_point) * scale as floats of type `to`";
  let description = [{
    Scale, zero point, `axis` and `block_size` as those of nn.quantize. The difference is one of
    int32, which wraps, the product one of float32; it is rounded to `to`.
  }];
  let arguments = (ins NN_Tensor:$x, NN_Tensor:$scale, NN_OptionalTensor:$zero_point, TypeAttr:$to,
      DefaultValuedAttr<NN_AxisAttr, "0">:$axis, DefaultValuedAttr<NN_IntAttr, "0">:$block_size);
}

// What sums of quantized tensors are made of: see RequantizedSums.h. a * b + c is rounded once; of
// float32, where a CPU has no such instruction, as nearly as float64 can.
def NN_MultiplyAddOp
    : NN_ElementwiseOp<"multiply_add", "", NN_Float, ["a", "b", "c"],
                       [{ return e.fma(a, b, c); }], [{ return std::fma(a, b, c); }], [], "Same"> {
  let arguments = (ins NN_Tensor:$a, NN_Tensor:$b, NN_Tensor:$c);
}

def NN_ByteLookupOp : NN_Op<"byte_lookup"> {
  let summary = "the entries of a table at the places that bytes say";
  let description = [{
    Each element of `x`, which has 8 bits, is the number of an entry of `table`, a vector of 256
    bytes; of int8 the bits are taken as those of a number from 0 to 255. So any function of one
    quantized tensor is computed whose results are quantized.
  }];
  let arguments = (ins NN_Tensor:$x, NN_Tensor:$table);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Elementwise; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Agnostic; }
  }];
}

#endif // QUERN_IR_QUANTOPS_TD
