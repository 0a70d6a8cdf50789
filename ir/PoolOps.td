//===- PoolOps.td - pooling -----------------------------------------------===//
#ifndef QUERN_IR_POOLOPS_TD
#define QUERN_IR_POOLOPS_TD

include "ir/NNBase.td"

/// Pooling of [N, C, spatial...] data; when the input is channel-blocked, so is the result.
def NN_BlockablePool {
  code declaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Anchor; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }
  }];
}
class NN_WindowPoolOp<string mnemonic, list<Trait> traits = []> : NN_WindowOp<mnemonic, traits> {
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = NN_BlockablePool.declaration;
}

def NN_MaxPoolOp : NN_WindowPoolOp<"max_pool", [NN_CommutesWithRounding]> {
  let arguments = (ins NN_Tensor:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads, BoolAttr:$ceil_mode,
    NN_DefaultAutoPad:$auto_pad);
}

def NN_AveragePoolOp : NN_WindowPoolOp<"average_pool"> {
  let arguments = (ins NN_Tensor:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads, BoolAttr:$ceil_mode,
    BoolAttr:$count_include_pad, NN_DefaultAutoPad:$auto_pad);
}

def NN_GlobalPoolOp : NN_Op<"global_pool", [NN_WideFloatsOnly]> {
  let summary = "the mean or the max (`kind`) of all pixels of a channel";
  let arguments = (ins NN_Tensor:$input, NN_ReduceKindAttr:$kind);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $kind operands attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Row; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }
  }];
}

def NN_MaxPoolWithIndicesOp : NN_WindowOp<"max_pool_with_indices"> {
  let summary = "max pooling that also gives the flat index of each maximum (int64)";
  let arguments = (ins NN_Tensor:$input, DenseI64ArrayAttr:$kernel, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads, BoolAttr:$ceil_mode,
    NN_IntAttr:$storage_order, NN_DefaultAutoPad:$auto_pad);
  let results = (outs NN_Tensor:$result, NN_Tensor:$indices);
}

#endif // QUERN_IR_POOLOPS_TD
