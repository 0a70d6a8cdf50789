//===- OutlinedOps.td - what stands for bodies --------------------------===//
#ifndef QUERN_IR_OUTLINEDOPS_TD
#define QUERN_IR_OUTLINEDOPS_TD

include "ir/NNBase.td"

def NN_RunBodiesOp : Op<NN_Dialect, "run_bodies", [Pure]> {
  let summary = "an nn.if, nn.loop or nn.scan whose bodies are graphs of their own";
  let description = [{
    The operands are those of the op that it stands for, then the values that its bodies
    see around them. `number` finds the rest in the list that passes::outlineBodies made.
  }];
  let arguments = (ins Variadic<AnyTypeOf<[NN_Value, NoneType]>>:$inputs, NN_IntAttr:$number);
  let results = (outs Variadic<NN_Value>:$results);
  let assemblyFormat = "$number operands attr-dict `:` functional-type(operands, results)";
}

def NN_FailOp : NN_Op<"fail"> {
  let summary = "stands for results that nothing can compute: running it is an error";
  let description = [{
    In a branch, what breaks a rule must not refuse the model: the branch may never be
    taken. `message` says what is wrong, the location names the node.
  }];
  let arguments = (ins StrAttr:$message);
  let results = (outs Variadic<NN_Value>:$results);
  let assemblyFormat = "$message attr-dict `:` type($results)";
}

#endif // QUERN_IR_OUTLINEDOPS_TD
