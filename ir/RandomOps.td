//===- RandomOps.td - random numbers --------------------------------------===//
#ifndef QUERN_IR_RANDOMOPS_TD
#define QUERN_IR_RANDOMOPS_TD

include "ir/NNBase.td"

/// Not pure: each draw has numbers of its own, so that it is neither folded nor merged
/// with another.
def NN_RandomOp : Op<NN_Dialect, "random", [DeclareOpInterfaceMethods<NN_GraphOpInterface>,
                                            MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "a tensor of shape `shape` of numbers drawn from [0, 1), all equally likely";
  let description = [{
    `dtype` is float32 or float64. With a `seed` every draw gives the same numbers, else
    the generator of the process goes on (quern/RandomSeed.h). Other distributions are
    made of this one by importers.
  }];
  let arguments = (ins NN_Tensor:$shape, TypeAttr:$dtype, OptionalAttr<NN_IntAttr>:$seed);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

#endif // QUERN_IR_RANDOMOPS_TD
