//===- ReductionOps.td - reductions, softmax, arg max ---------------------===//
#ifndef QUERN_IR_REDUCTIONOPS_TD
#define QUERN_IR_REDUCTIONOPS_TD

include "ir/NNBase.td"

def NN_ReduceOp : NN_Op<"reduce", [NN_WideFloatsOnly]> {
  let summary = "reduces the dimensions in `axes`";
  let description = [{
    `axes`: integer vector, negative counts from the end; none or empty reduces all,
    unless `noop_with_empty_axes`.
  }];
  let arguments = (ins NN_Tensor:$input, NN_OptionalTensor:$axes, NN_ReduceKindAttr:$kind,
    BoolAttr:$keepdims, BoolAttr:$noop_with_empty_axes);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $kind operands attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = [{
    /// The dimensions that are reduced, counted from the front, in ascending order;
    /// nullopt while they or the rank of the input are unknown.
    ::std::optional<::llvm::SmallVector<int64_t>> getReducedDimensions(const ::quern::nn::ShapeFacts &facts);
  }];
}

class NN_SoftmaxLikeOp<string mnemonic>
    : NN_Op<mnemonic, [NN_AxisOpInterface, NN_WideFloatsOnly]> {
  let description = [{
    Along `axis`; with `trailing` along `axis` and all dimensions after it
    together (the rule of ONNX before opset 13).
  }];
  let arguments = (ins NN_Tensor:$input, NN_AxisAttr:$axis, BoolAttr:$trailing);
  let results = (outs NN_Tensor:$result);
}
def NN_SoftmaxOp : NN_SoftmaxLikeOp<"softmax">;
def NN_LogSoftmaxOp : NN_SoftmaxLikeOp<"log_softmax">;

class NN_ArgOp<string mnemonic>
    : NN_Op<mnemonic, [NN_AxisOpInterface, NN_WideFloatsOnly]> {
  let arguments = (ins NN_Tensor:$input, NN_AxisAttr:$axis, BoolAttr:$keepdims,
    BoolAttr:$select_last_index);
  let results = (outs NN_Tensor:$result);
}
def NN_ArgMaxOp : NN_ArgOp<"arg_max">;
def NN_ArgMinOp : NN_ArgOp<"arg_min">;

def NN_CumulateOp : NN_Op<"cumulate"> {
  let summary = "running sums or products along `axis`, an integer scalar; negative counts from the end";
  let description = [{
    `kind`: sum or prod. `exclusive`: of the elements before each; `reverse`: from the end.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$axis, NN_ReduceKindAttr:$kind,
    BoolAttr:$exclusive, BoolAttr:$reverse);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $kind operands attr-dict `:` functional-type(operands, results)";
}

def NN_TopKOp : NN_Op<"topk", [NN_AxisOpInterface]> {
  let summary = "the `k` largest or smallest elements along `axis`, in order, and their indices";
  let description = [{
    Of equal elements that with the lower index comes first. NaN is larger than all numbers.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$k, NN_AxisAttr:$axis, BoolAttr:$largest);
  let results = (outs NN_Tensor:$values, NN_Tensor:$indices);
}

#endif // QUERN_IR_REDUCTIONOPS_TD
