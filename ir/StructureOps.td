//===- StructureOps.td - constants, weights, fusion groups, layout --------===//
#ifndef QUERN_IR_STRUCTUREOPS_TD
#define QUERN_IR_STRUCTUREOPS_TD

include "ir/NNBase.td"

def NN_NoneOp : NN_Op<"none"> {
  let summary = "stands for an operand that was left out";
  let arguments = (ins);
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def NN_ConstantOp : NN_Op<"constant", [ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "a small constant (at most about 1 KB)";
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
  let extraClassDeclaration = NN_Blockable.declaration;
}

def NN_WeightOp : NN_Op<"weight"> {
  let summary = "a constant whose elements lie in a blob of the weight store";
  let arguments = (ins StrAttr:$blob, NN_IntAttr:$offset);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$blob `,` $offset attr-dict `:` type($result)";
  let extraClassDeclaration = NN_Blockable.declaration;
}

def NN_GroupOp : Op<NN_Dialect, "group", [Pure, IsolatedFromAbove, SingleBlock]> {
  let summary = "a fusion group: becomes one kernel and one plan step";
  let description = [{
    The region's arguments are the operands, in order. The body holds at most one
    anchor (FusionKind::Anchor or Row), elementwise ops around it, and ends in `nn.yield`.
  }];
  let arguments = (ins Variadic<NN_OptionalTensor>:$inputs);
  let results = (outs Variadic<NN_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "operands attr-dict-with-keyword $body `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def NN_YieldOp : Op<NN_Dialect, "yield", [Pure, Terminator, ParentOneOf<["GroupOp", "IfOp", "LoopOp", "ScanOp"]>]> {
  let summary = "the results of a fusion group, or of a body";
  let arguments = (ins Variadic<NN_Value>:$values);
  let assemblyFormat = "operands attr-dict `:` type(operands)";
}

def NN_PackOp : NN_Op<"pack"> {
  let summary = "[N, C, spatial...] to [N, ceil(C/block), spatial..., block], zero-padded channels";
  let description = "The result's type says how large the blocks are.";
  let arguments = (ins NN_Tensor:$input);
  let results = (outs AnyRankedTensor:$result);
  let hasCanonicalizer = 1;
  let extraClassDeclaration = NN_Blockable.declaration;
}

def NN_UnpackOp : NN_Op<"unpack"> {
  let summary = "the inverse of nn.pack; keeps the first `channels` channels";
  let arguments = (ins NN_Tensor:$input, NN_IntAttr:$channels);
  let results = (outs NN_Tensor:$result);
  let hasCanonicalizer = 1;
  let extraClassDeclaration = NN_Blockable.declaration;
}

def NN_GatherChannelsOp : NN_Op<"gather_channels"> {
  let summary = "channels of images in blocks, put into blocks anew";
  let description = [{
    Lanes of the inputs count block by block, those of the first input before those of the second.
    `lanes` says for each channel of the result which one it is, -1: zero. What does not fill the
    last block may be anything, as in any tensor in blocks but of nn.pack; kernels leave zeros. The
    result's type says how large its blocks are; those of the inputs may differ.
  }];
  let arguments = (ins Variadic<NN_Tensor>:$inputs, DenseI64ArrayAttr:$lanes);
  let results = (outs AnyRankedTensor:$result);
  let hasCanonicalizer = 1;
  let extraClassDeclaration = NN_Blockable.declaration;
}

#endif // QUERN_IR_STRUCTUREOPS_TD
