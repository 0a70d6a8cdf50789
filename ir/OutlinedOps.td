//===- OutlinedOps.td - what is left where bodies were --------------------===//
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

#endif // QUERN_IR_OUTLINEDOPS_TD
