//===- Passes.td - the graph passes ---------------------------------------===//
//
// `def FooPass` is Foo.cpp, `--nn-foo` and tests/passes/foo.mlir. The order in
// which they run is Pipelines.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_PASSES_PASSES_TD
#define QUERN_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

def SpecializeInputsPass : Pass<"nn-specialize-inputs", "::mlir::ModuleOp"> {
  let summary = "give the inputs of @main static shapes";
  let options = [
    ListOption<"shapes", "shapes", "std::string", "NAME=1x3x224x224, one per input">,
    ListOption<"dims", "dims", "std::string", "N=1, one per symbolic dimension">,
  ];
}

def GrowCachesPass : Pass<"nn-grow-caches", "::mlir::func::FuncOp"> {
  let summary = "inputs that outputs continue, and these, have the length in front";
}

def InferShapesPass : Pass<"nn-infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "refine result types by the ops' shape rules; never widens";
  let description = [{
    Makes axes count from the front where the rank is known (AxisOpInterface).
  }];
}

def NameUnknownSizesPass : Pass<"nn-name-unknown-sizes", "::mlir::func::FuncOp"> {
  let summary = "give each size that no expression tells a symbol of its own";
}

def FoldConstantsPass : Pass<"nn-fold-constants", "::mlir::func::FuncOp"> {
  let summary = "evaluate ops on constants, and shapes that types tell; erase dead ops";
  let description = [{
    Refines types on the way, because a folded shape operand makes the ops after
    it static. Both facts flow forward only, so that one walk reaches the fixpoint.
  }];
  let options = [
    Option<"maxFoldedBytes", "max-folded-bytes", "int64_t", "::quern::Limits().maxFoldedBytes",
           "bytes that folding may create in all">,
    Option<"maxFoldedWork", "max-folded-work", "int64_t", "::quern::Limits().maxFoldedWork",
           "work that folding may do in all; see Limits">,
    Option<"keepDequantized", "keep-dequantized", "bool", "false",
           "leave nn.dequantize, which says more of its constants than their floats">,
    Option<"keepHalves", "keep-halves", "bool", "false",
           "leave casts of weights of float16 and bfloat16 to float32 for KeepHalfWeights">,
  ];
}

def FormBlockProductsPass : Pass<"nn-form-block-products", "::mlir::func::FuncOp"> {
  let summary = "products of float32 with dequantized constants keep them small";
}

def QuantizeWeightsPass : Pass<"nn-quantize-weights", "::mlir::func::FuncOp"> {
  let summary = "constant weights of products of float32 in few bits, dequantized where they are used";
  let options = [
    Option<"bits", "bits", "int64_t", "8", "8: a scale for each column; 4: one for each 32 along it">,
  ];
}

def SinkDequantizePass : Pass<"nn-sink-dequantize", "::mlir::func::FuncOp"> {
  let summary = "move integers in place of their floats, and drop what quantizes them as before";
}

def SinkTransposesPass : Pass<"nn-sink-transposes", "::mlir::func::FuncOp"> {
  let summary = "keep channels in front between ops on images, where transposes become fewer";
}

def FormIntegerProductsPass : Pass<"nn-form-integer-products", "::mlir::func::FuncOp"> {
  let summary = "products of quantized tensors on uint8 by int8, where a policy says that it pays";
  let options = [
    Option<"all", "all", "bool", "false", "without a policy, form whatever is possible">,
  ];
}

def FormByteLookupsPass : Pass<"nn-form-byte-lookups", "::mlir::func::FuncOp"> {
  let summary = "functions of one quantized tensor that are quantized as tables";
}

def DecomposeQuantizationPass : Pass<"nn-decompose-quantization", "::mlir::func::FuncOp"> {
  let summary = "nn.quantize, nn.dequantize and integer products in core ops, with the same bits";
}

def InlineKnownBranchesPass : Pass<"nn-inline-known-branches", "::mlir::func::FuncOp"> {
  let summary = "replace branches with a constant condition by the body that runs";
}

def SimplifyGraphPass : Pass<"nn-simplify-graph", "::mlir::func::FuncOp"> {
  let summary = "one form for reshapes and global pools; remove what does nothing";
}

def WidenFloat16Pass : Pass<"nn-widen-float16", "::mlir::func::FuncOp"> {
  let summary = "compute in float32 what has no native code in float16 and bfloat16";
  let description = [{
    Ops with the trait WideFloatsOnly get operands cast to float32, and their
    results are cast back: each is rounded once, as in the model. Between such ops
    both casts stay, so that the values that flow are those of the model's types.
    With `excess-precision` they are left out where nothing depends on the bits.
  }];
  let options = [
    Option<"excessPrecision", "excess-precision", "bool", "false",
           "also compute elementwise ops in float32, and round only where the model casts, where "
           "something depends on the bits, and at borders">,
  ];
}

def KeepHalfWeightsPass : Pass<"nn-keep-half-weights", "::mlir::func::FuncOp"> {
  let summary = "products of float32 by constants that are widened read them in 16 bits";
}

def FoldBatchNormPass : Pass<"nn-fold-batch-norm", "::mlir::func::FuncOp"> {
  let summary = "fold per-channel scale and shift into weights and bias";
  let description = [{
    Folds nn.batch_norm, and nn.mul and nn.add by per-channel constants, into the
    nn.conv, nn.conv_transpose or nn.gemm before them. An nn.batch_norm that has no
    such producer becomes nn.mul and nn.add, which fuse.
  }];
  let options = [
    Option<"maxFoldedWork", "max-folded-work", "int64_t", "::quern::Limits().maxFoldedWork",
           "work that folding may do in all; see Limits">,
  ];
}

def RaiseLayerNormPass : Pass<"nn-raise-layer-norm", "::mlir::func::FuncOp"> {
  let summary = "layer and RMS normalization of primitives, its scale and bias, to nn.layer_norm";
}

def RaiseAttentionPass : Pass<"nn-raise-attention", "::mlir::func::FuncOp"> {
  let summary = "make one nn.attention of products with a softmax between them";
}

def AssignPrecisionPass : Pass<"nn-assign-precision", "::mlir::func::FuncOp"> {
  let summary = "products and convolutions of float32 on factors rounded to bfloat16";
  let description = [{
    Sums stay in float32. By default those are lowered that BFloat16Factors accepts; a backend
    gives another policy.
  }];
}

def AddPrecisionSwitchesPass : Pass<"nn-add-precision-switches", "::mlir::func::FuncOp"> {
  let summary = "an input for each op that nn-assign-precision would lower, which rounds its factors";
  let description = [{
    For measuring what each of them costs, and for quern-opt; no part of a pipeline.
  }];
}

def AssignLayoutsPass : Pass<"nn-assign-layouts", "::mlir::func::FuncOp"> {
  let summary = "put convolutions and what lies between them on channel-blocked tensors";
  let options = [
    Option<"block", "block", "int64_t", "16", "channels per block: 16, 8 or 4">,
  ];
}

def FormFusionGroupsPass : Pass<"nn-form-fusion-groups", "::mlir::func::FuncOp"> {
  let summary = "put every anchor and elementwise op into an nn.group";
  let options = [
    Option<"maxOps", "max-ops", "int64_t", "64", "ops of one group; 1 forms singletons">,
  ];
}

def VerifyPhasePass : Pass<"nn-verify-phase", "::mlir::ModuleOp"> {
  let summary = "check that only the legal ops of a phase are left";
  let options = [
    Option<"phase", "phase", "std::string", "\"imported\"", "imported, simplified, laid-out, fused">,
  ];
}

def DumpPhasePass : Pass<"nn-dump-phase", "::mlir::ModuleOp"> {
  let summary = "write the module to DIRECTORY/PREFIXNUMBER-PHASE.mlir";
  let options = [
    Option<"phase", "phase", "std::string", "\"imported\"", "the phase that has ended">,
    Option<"directory", "directory", "std::string", "\".\"", "an existing directory">,
    Option<"prefix", "prefix", "std::string", "\"\"", "what names of files begin with">,
  ];
}

#endif // QUERN_PASSES_PASSES_TD
