//===- ConvOps.td - convolution -------------------------------------------===//
#ifndef QUERN_IR_CONVOPS_TD
#define QUERN_IR_CONVOPS_TD

include "ir/NNBase.td"

def NN_ConvOp : NN_WindowOp<"conv", [NN_SumsProducts]> {
  let summary = "N-D convolution (cross-correlation) of NCHW data";
  let description = [{
    `input`: [N, C, spatial...]; `weights`: [M, C/group, kernel...]; `bias`: [M] or none.
    `pads` holds the begins of all spatial axes, then the ends (ONNX order); the
    importer has resolved auto_pad where shapes are static, otherwise `auto_pad`
    is SAME_UPPER or SAME_LOWER and pads are ignored.

    Input and result may be channel-blocked, each or both, as their types say. Weights
    stay [M, C/group, kernel...]: packing is the backend's.

    Images and weights may be 8-bit integers, each of either sign, with bias and result
    in i32, whose sums wrap; or bfloat16 or float16 with bias and result in f32. Beyond
    the edges of an image of integers lies `pad_value`.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$weights, NN_OptionalTensor:$bias,
    DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads,
    NN_IntAttr:$group, NN_DefaultAutoPad:$auto_pad,
    DefaultValuedAttr<NN_IntAttr, "0">:$pad_value);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Anchor; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }
  }];
}

def NN_ConvIntegerOp : NN_WindowOp<"conv_integer", [NN_SumsProducts]> {
  let summary = "nn.conv of input - input_zero and weights - weights_zero: sums of int32, which wrap";
  let description = [{
    Input and weights hold integers of 8 bits, `bias` (or none) int32. `input_zero`: none or one
    number; what lies beyond the edges of the image is it. `weights_zero`: none, one number, or
    one for each output channel.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$weights, NN_OptionalTensor:$input_zero,
    NN_OptionalTensor:$weights_zero, NN_OptionalTensor:$bias, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads, NN_IntAttr:$group,
    NN_DefaultAutoPad:$auto_pad);
  let results = (outs NN_Tensor:$result);
}

def NN_ConvTransposeOp : NN_WindowOp<"conv_transpose", [NN_SumsProducts]> {
  let summary = "N-D transposed convolution of NCHW data";
  let description = [{
    `input`: [N, C, spatial...]; `weights`: [C, M/group, kernel...]; `bias`: [M] or none.
    `output_shape` (spatial sizes) is empty unless given; then pads follow from it
    by the ONNX rule, as they do when auto_pad is SAME_*.

    Input and result may be channel-blocked, and factors bfloat16 or float16 with sums in
    f32, as those of `nn.conv`.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$weights, NN_OptionalTensor:$bias,
    DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads,
    DenseI64ArrayAttr:$output_padding, DenseI64ArrayAttr:$output_shape, NN_IntAttr:$group,
    NN_DefaultAutoPad:$auto_pad);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Anchor; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }
  }];
}

#endif // QUERN_IR_CONVOPS_TD
