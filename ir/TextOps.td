//===- TextOps.td - tensors of strings ------------------------------------===//
#ifndef QUERN_IR_TEXTOPS_TD
#define QUERN_IR_TEXTOPS_TD

include "ir/NNBase.td"

def NN_StringConcatOp : NN_Op<"string_concat"> {
  let summary = "strings put together one by one, with NumPy broadcasting";
  let arguments = (ins NN_Tensor:$left, NN_Tensor:$right);
  let results = (outs NN_Tensor:$result);
}

def NN_StringNormalizeOp : NN_Op<"string_normalize"> {
  let summary = "the strings that are no stop words, in lower or upper case";
  let description = [{
    `input` has shape [C] or [1, C]. `stopwords` are a vector of strings, compared
    whatever their case unless `case_sensitive`. `case_action` is NONE, LOWER or UPPER.
    When nothing is left the result is one empty string.
  }];
  let arguments = (ins NN_Tensor:$input, NN_OptionalTensor:$stopwords, StrAttr:$case_action,
    BoolAttr:$case_sensitive);
  let results = (outs NN_Tensor:$result);
}

def NN_StringSplitOp : NN_Op<"string_split"> {
  let summary = "the parts of strings, along a new last dimension, and their numbers";
  let description = [{
    Shorter rows end in empty strings. An empty delimiter stands for white space.
    `maxsplit` limits the number of splits of a string unless it is negative.
  }];
  let arguments = (ins NN_Tensor:$input, StrAttr:$delimiter, NN_IntAttr:$maxsplit);
  let results = (outs NN_Tensor:$parts, NN_Tensor:$counts);
}

def NN_RegexMatchOp : NN_Op<"regex_match"> {
  let summary = "whether whole strings match a pattern of RE2's syntax";
  let arguments = (ins NN_Tensor:$input, StrAttr:$pattern);
  let results = (outs NN_Tensor:$result);
}

def NN_TfIdfOp : NN_Op<"tf_idf"> {
  let summary = "how often n-grams of a pool occur in rows of words";
  let description = [{
    `pool` holds n-grams of length 1, 2, ...; those of length n start at
    `ngram_counts[n - 1]`. `ngram_indexes` say the column of each n-gram, `weights` may say
    what it counts for: `mode` is TF (not used), IDF (once) or TFIDF (each time). Words of an
    n-gram may have up to `max_skip_count` others between them, the same number each.
  }];
  let arguments = (ins NN_Tensor:$input, NN_Tensor:$pool, StrAttr:$mode,
    NN_IntAttr:$min_gram_length, NN_IntAttr:$max_gram_length, NN_IntAttr:$max_skip_count,
    DenseI64ArrayAttr:$ngram_counts, DenseI64ArrayAttr:$ngram_indexes,
    DenseF64ArrayAttr:$weights);
  let results = (outs NN_Tensor:$result);
}

#endif // QUERN_IR_TEXTOPS_TD
