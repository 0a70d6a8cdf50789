//===- ContractionOps.td - matrix products --------------------------------===//
#ifndef QUERN_IR_CONTRACTIONOPS_TD
#define QUERN_IR_CONTRACTIONOPS_TD

include "ir/NNBase.td"

class NN_RootOp<string mnemonic> : NN_Op<mnemonic, [NN_SumsProducts, NN_WideFloatsOnly]> {
  code rootDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Anchor; }
  }];
  let extraClassDeclaration = rootDeclaration;
}

def NN_MatMulOp : NN_RootOp<"matmul"> {
  let summary = "matrix product with NumPy batching and vector rules";
  let description = [{
    The result is of the type of the factors, or of a wider one: i32, whose sums wrap, of
    8-bit integers, each of either sign; f32 of bfloat16 or float16, and of f32 by these: weights
    that are as small in memory as the model has them.
  }];
  let arguments = (ins NN_Tensor:$a, NN_Tensor:$b);
  let results = (outs NN_Tensor:$result);
}

def NN_GemmOp : NN_RootOp<"gemm"> {
  let summary = "alpha * op(a) * op(b) + beta * c on matrices; c broadcasts or is none";
  let description = "Types as of nn.matmul; c is of that of the result.";
  let arguments = (ins NN_Tensor:$a, NN_Tensor:$b, NN_OptionalTensor:$c, F64Attr:$alpha,
    F64Attr:$beta, BoolAttr:$trans_a, BoolAttr:$trans_b);
  let results = (outs NN_Tensor:$result);
}

def NN_MatMulIntegerOp : NN_Op<"matmul_integer", [NN_SumsProducts]> {
  let summary = "nn.matmul of a - a_zero and b - b_zero, integers of 8 bits: sums of int32, which wrap";
  let description = [{
    `a_zero`: none, a scalar, a vector with an entry for each row of `a`, or what broadcasts to
    `a`; `b_zero`: the same for the columns of `b`.
  }];
  let arguments = (ins NN_Tensor:$a, NN_Tensor:$b, NN_OptionalTensor:$a_zero,
    NN_OptionalTensor:$b_zero);
  let results = (outs NN_Tensor:$result);
}

def NN_BlockMatMulOp : NN_Op<"block_matmul"> {
  let summary = "product of rows of float32 with weights of few bits, whose blocks have scales";
  let description = [{
    `a` [..., m, k] times the transpose of `weights` [n, k], integers of 8 bits or less that stand
    for (weight - zero_point) * scale: `scale` [n, k / block_size] is one for each block of
    neighbours along k, of which the last may be smaller; `zero_point`, of the weights' type, is one
    for each block, a scalar or none. So weights stay as small as they are in memory.
  }];
  let arguments = (ins NN_Tensor:$a, NN_Tensor:$weights, NN_Tensor:$scale,
    NN_OptionalTensor:$zero_point, NN_IntAttr:$block_size);
  let results = (outs NN_Tensor:$result);
  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Anchor; }
  }];
}

#endif // QUERN_IR_CONTRACTIONOPS_TD
