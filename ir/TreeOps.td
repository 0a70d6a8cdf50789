//===- TreeOps.td - decision trees ----------------------------------------===//
#ifndef QUERN_IR_TREEOPS_TD
#define QUERN_IR_TREEOPS_TD

include "ir/NNBase.td"

def NN_TreeEnsembleOp : NN_Op<"tree_ensemble"> {
  let summary = "the weights of the leaves that rows lead to in all trees, together for each target";
  let description = [{
    `input` is [rows, features] of float32 or float64. Node i compares the feature
    `nodes[i, 0]` with `thresholds[i]` and goes on at `nodes[i, 1]` when `tests[i]` has the
    bit of the outcome (1: less, 2: equal, 4: greater, 8: unordered), else at
    `nodes[i, 2]`. A place below zero is leaf number -1 - place. Leaf l gives
    `weights[j]` to target `targets[j]` for j from `leaves[l]` up to `leaves[l + 1]`.
    `roots` has a place for each tree. `kind` is sum, min or max; a target that gets
    nothing is 0.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$nodes, NN_Tensor:$tests, NN_Tensor:$thresholds,
    NN_Tensor:$roots, NN_Tensor:$leaves, NN_Tensor:$targets, NN_Tensor:$weights,
    NN_ReduceKindAttr:$kind, NN_IntAttr:$target_count);
  let results = (outs NN_Tensor:$result);
  let assemblyFormat = "`` $kind operands attr-dict `:` functional-type(operands, results)";
}

#endif // QUERN_IR_TREEOPS_TD
