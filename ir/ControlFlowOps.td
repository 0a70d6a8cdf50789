//===- ControlFlowOps.td - branches and loops -----------------------------===//
#ifndef QUERN_IR_CONTROLFLOWOPS_TD
#define QUERN_IR_CONTROLFLOWOPS_TD

include "ir/NNBase.td"

// Bodies are regions that see the values around them and end in `nn.yield`.

def NN_IfOp : NN_Op<"if", [SingleBlock]> {
  let summary = "the results of one of two bodies, which have no arguments";
  let arguments = (ins NN_Tensor:$condition);
  let results = (outs Variadic<NN_Value>:$results);
  let regions = (region SizedRegion<1>:$thenRegion, SizedRegion<1>:$elseRegion);
  let assemblyFormat = [{
    $condition $thenRegion `else` $elseRegion attr-dict `:` functional-type(operands, results)
  }];
}

def NN_LoopOp : NN_Op<"loop", [SingleBlock]> {
  let summary = "runs a body while a condition holds, at most trip_count times";
  let description = [{
    The body's arguments are the iteration number (a scalar i64), the condition
    (a scalar i1) and the carried values; it yields the next condition, the next
    carried values and values to collect. Results are the carried values after the
    last iteration and the collected ones, which are tensors, along a new first dimension.
  }];
  let arguments = (ins NN_OptionalTensor:$trip_count, NN_OptionalTensor:$condition,
                       Variadic<NN_Value>:$initial);
  let results = (outs Variadic<NN_Value>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "operands $body attr-dict `:` functional-type(operands, results)";
}

def NN_ScanOp : NN_Op<"scan", [SingleBlock]> {
  let summary = "runs a body once for every slice of its last operands";
  let description = [{
    The operands are the first states and, at last, `input_axes.size()` tensors of
    which the body gets a slice each; a direction of 1 starts with the last slice.
    The body yields the next states and values to collect. Results are the last
    states and the collected values, along a new dimension: `output_axes`.
  }];
  let arguments = (ins Variadic<NN_Value>:$inputs, DenseI64ArrayAttr:$input_axes,
                       DenseI64ArrayAttr:$input_directions, DenseI64ArrayAttr:$output_axes,
                       DenseI64ArrayAttr:$output_directions);
  let results = (outs Variadic<NN_Value>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "operands $body attr-dict `:` functional-type(operands, results)";
}

#endif // QUERN_IR_CONTROLFLOWOPS_TD
