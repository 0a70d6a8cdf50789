//===- LinearAlgebraOps.td - of matrices as such --------------------------===//
#ifndef QUERN_IR_LINEARALGEBRAOPS_TD
#define QUERN_IR_LINEARALGEBRAOPS_TD

include "ir/NNBase.td"

def NN_DetOp : NN_Op<"det", [NN_WideFloatsOnly]> {
  let summary = "the determinants of the square matrices in the last two dimensions";
  let arguments = (ins NN_Tensor:$input);
  let results = (outs NN_Tensor:$result);
}

#endif // QUERN_IR_LINEARALGEBRAOPS_TD
