//===- GatherOps.td - elements by index, read and written -----------------===//
#ifndef QUERN_IR_GATHEROPS_TD
#define QUERN_IR_GATHEROPS_TD

include "ir/NNBase.td"

// nn.gather itself, of which embeddings are made, is among the moves. Indices are
// int32 or int64; one outside [-n, n) is an error.

def NN_GatherElementsOp : NN_Op<"gather_elements", [NN_AxisOpInterface]> {
  let summary = "NumPy take_along_axis, but that other dimensions of `indices` may be smaller";
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$indices, NN_AxisAttr:$axis);
  let results = (outs NN_Tensor:$result);
}

def NN_GatherNDOp : NN_Op<"gather_nd"> {
  let summary = "the slices of `input` at the index tuples in the last dimension of `indices`";
  let description = [{
    The first `batch_dims` dimensions are common to both; a tuple indexes those after them.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$indices, NN_IntAttr:$batch_dims);
  let results = (outs NN_Tensor:$result);
}

def NN_ScatterElementsOp : NN_Op<"scatter_elements", [NN_AxisOpInterface]> {
  let summary = "`input`, with `updates` where nn.gather_elements would read";
  let description = [{
    Updates are applied in row-major order, so that without a reduction the last one of
    several for one element stays.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$indices, NN_Tensor:$updates,
    NN_ScatterReductionAttr:$reduction, NN_AxisAttr:$axis);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $reduction operands attr-dict `:` functional-type(operands, results)";
}

def NN_ScatterNDOp : NN_Op<"scatter_nd"> {
  let summary = "`input`, with `updates` where nn.gather_nd would read; in their order";
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$indices, NN_Tensor:$updates,
    NN_ScatterReductionAttr:$reduction);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $reduction operands attr-dict `:` functional-type(operands, results)";
}

#endif // QUERN_IR_GATHEROPS_TD
