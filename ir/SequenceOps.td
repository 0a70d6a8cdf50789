//===- SequenceOps.td - sequences and optionals ---------------------------===//
#ifndef QUERN_IR_SEQUENCEOPS_TD
#define QUERN_IR_SEQUENCEOPS_TD

include "ir/NNBase.td"

// Positions are int32 or int64 scalars; negative ones count from the end. Ops that
// put values into others say the type of what they make: shape rules make no types.

def NN_SequenceOp : NN_Op<"sequence"> {
  let summary = "a sequence of the operands";
  let arguments = (ins Variadic<NN_Value>:$values);
  let results = (outs NN_SequenceType:$result);
}

def NN_SequenceSpliceOp : NN_Op<"sequence_splice"> {
  let summary = "the sequence with `values` in place of the `removed` values at `position`";
  let description = [{
    Without a position values are put at the end, and the last ones are removed.
  }];
  let arguments = (ins NN_SequenceType:$sequence, NN_OptionalTensor:$position,
    Variadic<NN_Value>:$values, NN_IntAttr:$removed);
  let results = (outs NN_SequenceType:$result);
}

def NN_SequenceAtOp : NN_Op<"sequence_at"> {
  let summary = "the value at a position";
  let arguments = (ins NN_SequenceType:$sequence, NN_Tensor:$position);
  let results = (outs NN_Value:$result);
}

def NN_SequenceLengthOp : NN_Op<"sequence_length"> {
  let summary = "the number of values, a scalar i64";
  let arguments = (ins NN_SequenceType:$sequence);
  let results = (outs NN_Tensor:$result);
}

def NN_SequenceConcatOp : NN_Op<"sequence_concat"> {
  let summary = "the tensors of a sequence, of one or more, along `axis`";
  let description = "With `new_axis` along a new dimension, of which `axis` is the place.";
  let arguments = (ins NN_SequenceType:$sequence, NN_IntAttr:$axis, BoolAttr:$new_axis);
  let results = (outs NN_Tensor:$result);
}

def NN_SequenceSplitOp : NN_Op<"sequence_split"> {
  let summary = "a sequence of slices of `input` along `axis`";
  let description = [{
    `split` is a vector of their sizes, or the size of all but the last, which may be
    smaller. Without it sizes are 1, and `keepdims` says whether the dimension stays.
  }];
  let arguments = (ins NN_Tensor:$input, NN_OptionalTensor:$split, NN_IntAttr:$axis,
    BoolAttr:$keepdims);
  let results = (outs NN_SequenceType:$result);
}

def NN_OptionalOp : NN_Op<"optional"> {
  let summary = "an optional of the operand; empty without one";
  let arguments = (ins Optional<NN_Value>:$value);
  let results = (outs NN_OptionalType:$result);
}

def NN_OptionalHasOp : NN_Op<"optional_has"> {
  let summary = "whether the optional is not empty, a scalar i1";
  let arguments = (ins NN_OptionalType:$optional);
  let results = (outs NN_Tensor:$result);
}

def NN_OptionalGetOp : NN_Op<"optional_get"> {
  let summary = "what is in an optional; an error when it is empty";
  let arguments = (ins NN_OptionalType:$optional);
  let results = (outs NN_Value:$result);
}

#endif // QUERN_IR_SEQUENCEOPS_TD
