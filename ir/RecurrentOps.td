//===- RecurrentOps.td - recurrent networks -------------------------------===//
#ifndef QUERN_IR_RECURRENTOPS_TD
#define QUERN_IR_RECURRENTOPS_TD

include "ir/NNBase.td"

// Numbers of CellKind, RecurrentDirection and CellActivation (runtime/reference/Recurrent.h),
// which are printed as names.

def NN_RecurrentOp : NN_Op<"recurrent", [NN_SumsProducts]> {
  let summary = "the time steps of ONNX's RNN, GRU or LSTM, after the product of its input";
  let description = [{
    With T steps, a batch of B, D directions, G gates (iofc of an LSTM, zrh of a GRU) and H
    hidden units: `input` [T, B, D * G * H] holds what the inputs and all biases give to
    the gates, `recurrence` [D, G * H, H] is ONNX's R, `bias` [D, H] is added to the
    recurrent part of h of a GRU that is linear before its reset, `lengths` [B] are int32,
    `initial_h` and `initial_c` are [D, B, H], `peepholes` [D, 3 * H] (iof).
    `activations`, `alpha` and `beta` are those of the first direction, then of the second.
    `clip` bounds what comes to the gates, `cell_clip` the magnitude of an LSTM's c, which ONNX does
    not have.

    The recurrence may be of bfloat16 or float16 where the rest is of f32: the states that it is
    multiplied with, and r * h of a GRU, are then rounded to that type for the product.

    Results are Y [T, D, B, H], zero after the end of a sequence, the last h [D, B, H] and,
    of an LSTM, the last c.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$recurrence, NN_OptionalTensor:$bias,
    NN_OptionalTensor:$lengths, NN_OptionalTensor:$initial_h, NN_OptionalTensor:$initial_c,
    NN_OptionalTensor:$peepholes, NN_IntAttr:$cell, NN_IntAttr:$direction,
    DenseI64ArrayAttr:$activations, DenseF64ArrayAttr:$alpha, DenseF64ArrayAttr:$beta,
    OptionalAttr<F64Attr>:$clip, BoolAttr:$input_forget, BoolAttr:$linear_before_reset,
    OptionalAttr<F64Attr>:$cell_clip);
  let results = (outs NN_Tensor:$y, NN_Tensor:$final_h, Variadic<NN_Tensor>:$final_c);
  let assemblyFormat = [{
    custom<CellKind>($cell) custom<Direction>($direction) custom<Activations>($activations)
    operands attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    ::quern::CellKind cellKind() { return static_cast<::quern::CellKind>(getCell()); }
    ::quern::RecurrentDirection directionKind() {
      return static_cast<::quern::RecurrentDirection>(getDirection());
    }
  }];
}

#endif // QUERN_IR_RECURRENTOPS_TD
