//===- LabelOps.td - labels, and maps from labels to values ---------------===//
#ifndef QUERN_IR_LABELOPS_TD
#define QUERN_IR_LABELOPS_TD

include "ir/NNBase.td"

def NN_LookupOp : NN_Op<"lookup"> {
  let summary = "for each element of `input` the value beside the last key that equals it";
  let description = [{
    NaN equals NaN. What equals no key becomes the one element of `otherwise`; without
    one it is an error.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$keys, NN_Tensor:$values,
    NN_OptionalTensor:$otherwise);
  let results = (outs NN_Tensor:$result);
}

def NN_CouplePairsOp : NN_Op<"couple_pairs"> {
  let summary = "probabilities of classes, [rows, classes], from those of one class against another";
  let description = [{
    `pairs` is [rows, classes, classes]: element i, j is how probable class i is when it is i
    or j. Iterates as libsvm does, until the error is below 0.005 / classes.
  }];
  let arguments = (ins NN_Tensor:$pairs);
  let results = (outs NN_Tensor:$result);
}

def NN_ZipMapOp : NN_Op<"zip_map"> {
  let summary = "a sequence with a map for each row of `input`, from `keys` to its elements";
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$keys);
  let results = (outs NN_Value:$result);
}

def NN_MapEntriesOp : NN_Op<"map_entries"> {
  let summary = "the keys of a map in ascending order, and the values beside them";
  let arguments = (ins NN_Value:$map);
  let results = (outs NN_Tensor:$keys, NN_Tensor:$values);
}

#endif // QUERN_IR_LABELOPS_TD
