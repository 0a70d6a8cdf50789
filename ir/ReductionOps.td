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
    /// A row whose axes are constants.
    ::quern::nn::FusionKind getFusionKind();
    /// The dimensions that are reduced, counted from the front, in ascending order;
    /// nullopt while they or the rank of the input are unknown.
    ::std::optional<::llvm::SmallVector<int64_t>> getReducedDimensions(const ::quern::nn::ShapeFacts &facts);
  }];
}

def NN_SoftmaxOp : NN_Op<"softmax", [NN_AxisOpInterface, NN_WideFloatsOnly]> {
  let summary = "softmax, or with `logarithm` the logarithm of it";
  let description = [{
    Along `axis`; with `trailing` along `axis` and all dimensions after it
    together (the rule of ONNX before opset 13).
  }];
  let arguments = (ins NN_Tensor:$input, NN_AxisAttr:$axis, BoolAttr:$trailing,
    DefaultValuedAttr<BoolAttr, "false">:$logarithm);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Anchor; }
  }];
}

def NN_ArgReduceOp : NN_Op<"arg_reduce", [NN_AxisOpInterface, NN_WideFloatsOnly]> {
  let summary = "the indices of the largest or smallest elements along `axis` (int64)";
  let description = "`kind`: max or min. Of equal elements the first, or the last, is chosen.";
  let arguments = (ins NN_Tensor:$input, NN_ReduceKindAttr:$kind, NN_AxisAttr:$axis,
    BoolAttr:$keepdims, BoolAttr:$select_last_index);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $kind operands attr-dict `:` functional-type(operands, results)";
}

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
