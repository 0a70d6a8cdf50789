//===- SelectionOps.td - which boxes, which values ---------------------------===//
#ifndef QUERN_IR_SELECTIONOPS_TD
#define QUERN_IR_SELECTIONOPS_TD

include "ir/NNBase.td"

// How many are selected depends on data.

def NN_NonMaxSuppressionOp : NN_Op<"non_max_suppression"> {
  let summary = "the boxes of each class with the best scores that overlap no better one";
  let description = [{
    `boxes` [batch, n, 4] are two opposite corners (y, x), or with `center_point_box`
    the center (x, y), width and height; `scores` are [batch, class, n]. Scalars:
    `max_output`, boxes of each class at most, 0 by default; `iou_threshold`, 0 by
    default, above which the intersection by the union is overlap; `score_threshold`,
    which scores must be above. The result holds (batch, class, box) in each row.
  }];
  let arguments = (ins NN_Tensor:$boxes, NN_Tensor:$scores, NN_OptionalTensor:$max_output,
    NN_OptionalTensor:$iou_threshold, NN_OptionalTensor:$score_threshold,
    BoolAttr:$center_point_box);
  let results = (outs NN_Tensor:$result);
}

def NN_SoftSuppressionOp : NN_Op<"soft_suppression"> {
  let summary = "the boxes with the best scores, which lower those of boxes that they overlap";
  let description = [{
    As TensorFlow Lite has it (NON_MAX_SUPPRESSION_V5): `boxes` [n, 4] are two opposite corners
    (y, x), `scores` [n]. A box whose intersection with a better one by their union is at least
    `iou_threshold` falls out, also a chosen one, which could be chosen again, by itself: only where
    it has no area it is. Others' scores are multiplied by exp(-overlap^2 / (2 `sigma`)), not where
    `sigma` is 0, and each box takes its turn again; scores must stay above `score_threshold`.
    `max_output` indices and scores in the order of choice, zeros behind those that `count` says.
  }];
  let arguments = (ins NN_Tensor:$boxes, NN_Tensor:$scores, NN_Tensor:$max_output,
    NN_Tensor:$iou_threshold, NN_Tensor:$score_threshold, NN_Tensor:$sigma);
  let results = (outs NN_Tensor:$indices, NN_Tensor:$selected_scores, NN_Tensor:$count);
}

def NN_UniqueOp : NN_Op<"unique"> {
  let summary = "the different slices of `input` along `axis`, or its different elements";
  let description = [{
    In ascending order (NaN, of which there is one, last) if `sorted`, else as they
    occur first. Then for each the place of its first occurrence, for each slice of
    the input its number among them, and for each how often it occurs.
  }];
  let arguments = (ins NN_Tensor:$input, OptionalAttr<NN_IntAttr>:$axis, BoolAttr:$sorted);
  let results = (outs NN_Tensor:$values, NN_Tensor:$indices, NN_Tensor:$inverse,
    NN_Tensor:$counts);
}

#endif // QUERN_IR_SELECTIONOPS_TD
