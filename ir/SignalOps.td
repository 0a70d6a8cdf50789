//===- SignalOps.td - transforms of signals -------------------------------===//
#ifndef QUERN_IR_SIGNALOPS_TD
#define QUERN_IR_SIGNALOPS_TD

include "ir/NNBase.td"

def NN_DftOp : NN_Op<"dft", [NN_WideFloatsOnly]> {
  let summary = "the discrete Fourier transform along `axis`, an integer scalar";
  let description = [{
    Complex numbers are the last dimension, which is no axis: real and imaginary part, or
    the real part alone in the input. `inverse`: with the other sign, divided by the length.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$axis, BoolAttr:$inverse);
  let results = (outs NN_Tensor:$result);
}

#endif // QUERN_IR_SIGNALOPS_TD
