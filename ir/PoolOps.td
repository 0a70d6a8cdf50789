//===- PoolOps.td - pooling -----------------------------------------------===//
#ifndef QUERN_IR_POOLOPS_TD
#define QUERN_IR_POOLOPS_TD

include "ir/NNBase.td"

/// Pooling of [N, C, spatial...] data; with `block` = b > 0 input and result are
/// [N, C/b, spatial..., b].
class NN_BlockablePoolOp<string mnemonic> : NN_Op<mnemonic, [NN_WideFloatsOnly]> {
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Root; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }
  }];
}

def NN_MaxPoolOp : NN_BlockablePoolOp<"max_pool"> {
  let arguments = (ins NN_Tensor:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads, BoolAttr:$ceil_mode,
    DefaultValuedStrAttr<StrAttr, "NOTSET">:$auto_pad, DefaultValuedAttr<NN_IntAttr, "0">:$block);
}

def NN_AveragePoolOp : NN_BlockablePoolOp<"average_pool"> {
  let arguments = (ins NN_Tensor:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads, BoolAttr:$ceil_mode,
    BoolAttr:$count_include_pad, DefaultValuedStrAttr<StrAttr, "NOTSET">:$auto_pad,
    DefaultValuedAttr<NN_IntAttr, "0">:$block);
}

def NN_GlobalAveragePoolOp : NN_BlockablePoolOp<"global_average_pool"> {
  let arguments = (ins NN_Tensor:$input, DefaultValuedAttr<NN_IntAttr, "0">:$block);
}

def NN_GlobalMaxPoolOp : NN_BlockablePoolOp<"global_max_pool"> {
  let arguments = (ins NN_Tensor:$input, DefaultValuedAttr<NN_IntAttr, "0">:$block);
}

def NN_MaxPoolWithIndicesOp : NN_Op<"max_pool_with_indices", [NN_WideFloatsOnly]> {
  let summary = "max pooling that also gives the flat index of each maximum (int64)";
  let arguments = (ins NN_Tensor:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads, BoolAttr:$ceil_mode,
    NN_IntAttr:$storage_order, DefaultValuedStrAttr<StrAttr, "NOTSET">:$auto_pad);
  let results = (outs NN_Tensor:$result, NN_Tensor:$indices);
}

#endif // QUERN_IR_POOLOPS_TD
