//===- AttentionOps.td - attention ----------------------------------------===//
#ifndef QUERN_IR_ATTENTIONOPS_TD
#define QUERN_IR_ATTENTIONOPS_TD

include "ir/NNBase.td"

def NN_AttentionOp : NN_Op<"attention", [NN_SumsProducts]> {
  let summary = "softmax(cap(scale * query * key^T) + mask) * value, per batch and head";
  let description = [{
    With B batches, H heads, Q queries and K keys: `query` is [B, H, Q, D], `key` [B, H, K, D],
    `value` [B, H, K, E] and the result [B, H, Q, E], each with its dimensions in the order
    that a perm says: dimension i of these is dimension `query_perm[i]` of the operand, and
    dimension i of the result is `result_perm[i]` of [B, H, Q, E]. Sizes of 1 broadcast as in
    the products that this stands for; key and value may have fewer heads, each of which then
    serves as many consecutive ones of the queries.

    `mask` broadcasts with [B, H, Q, K]. `scale` is one number, which multiplies the attribute
    `scale_factor`. With `softcap` c other than 0, scores become c * tanh(scores / c) before the
    mask is added. With `causal`, query i sees the keys up to i + `offset` (one int64; none: 0),
    others do not take part. Rows that see no key are NaN, as in nn.softmax; with
    `zero_masked_rows` those are 0 of which the mask is -infinity for all keys that they see.

    `condition`, of i1, broadcasts with [B, H, Q, K], too: where it is false, a score becomes
    `hidden_score`, whatever it was, before the mask is added. With `score_type` products, and
    what scale and cap make of them, are rounded to that type each; with `round_sums` so is the
    sum with the mask.

    The mask, the scale and the result are of the type of query, key and value, or f32 where these
    are of bfloat16 or float16: scores, softmax and sums are then, too.
  }];
  let arguments = (ins NN_Tensor:$query, NN_Tensor:$key, NN_Tensor:$value,
    NN_OptionalTensor:$mask, NN_OptionalTensor:$scale, NN_OptionalTensor:$offset,
    NN_OptionalTensor:$condition,
    DenseI64ArrayAttr:$query_perm, DenseI64ArrayAttr:$key_perm, DenseI64ArrayAttr:$value_perm,
    DenseI64ArrayAttr:$result_perm, F64Attr:$scale_factor, F64Attr:$softcap, BoolAttr:$causal,
    BoolAttr:$zero_masked_rows, DefaultValuedAttr<F64Attr, "0">:$hidden_score,
    OptionalAttr<TypeAttr>:$score_type, DefaultValuedAttr<BoolAttr, "false">:$round_sums);
  let results = (outs NN_Tensor:$result);
}

#endif // QUERN_IR_ATTENTIONOPS_TD
