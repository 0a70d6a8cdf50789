//===- NormalizationOps.td - normalizations -------------------------------===//
#ifndef QUERN_IR_NORMALIZATIONOPS_TD
#define QUERN_IR_NORMALIZATIONOPS_TD

include "ir/NNBase.td"

def NN_BatchNormOp : NN_Op<"batch_norm", [NN_WideFloatsOnly]> {
  let summary = "inference batch normalization over channels (dimension 1)";
  let description = "(x - mean) / sqrt(variance + epsilon) * scale + bias; parameters are [C].";
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$scale, NN_Tensor:$bias, NN_Tensor:$mean,
    NN_Tensor:$variance, F64Attr:$epsilon);
  let results = (outs NN_Tensor:$result);
}

def NN_InstanceNormOp : NN_Op<"instance_norm", [NN_WideFloatsOnly]> {
  let summary = "normalization over the spatial dimensions of each (n, c)";
  let description = "Input and result may be channel-blocked, both; `scale` and `bias` are [C].";
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$scale, NN_Tensor:$bias, F64Attr:$epsilon);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Anchor; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }
  }];
}

def NN_LayerNormOp : NN_Op<"layer_norm", [NN_AxisOpInterface, NN_WideFloatsOnly]> {
  let summary = "normalization of rows: of the dimensions from `axis` on, together";
  let description = [{
    (x - mean) / sqrt(variance + epsilon) * scale + bias by row; without `center` the mean is
    not subtracted (RMS normalization). `scale` and `bias`: the sizes of a row, or none.
  }];
  let arguments = (ins NN_Tensor:$input, NN_OptionalTensor:$scale, NN_OptionalTensor:$bias,
    NN_AxisAttr:$axis, BoolAttr:$center, F64Attr:$epsilon);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Anchor; }
  }];
}

def NN_LrnOp : NN_Op<"lrn", [NN_WideFloatsOnly]> {
  let summary = "local response normalization across channels";
  let arguments = (ins NN_Tensor:$input, F64Attr:$alpha, F64Attr:$beta, F64Attr:$bias,
    NN_IntAttr:$size);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }
  }];
}

#endif // QUERN_IR_NORMALIZATIONOPS_TD
