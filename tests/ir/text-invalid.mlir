// RUN: quern-opt %s --split-input-file --verify-diagnostics

func.func @concat(%x: tensor<2x!nn.string>, %y: tensor<2xf32>) {
  // expected-error @+1 {{right must hold strings, found 'f32'}}
  %0 = nn.string_concat %x, %y : (tensor<2x!nn.string>, tensor<2xf32>) -> tensor<2x!nn.string>
  return
}

// -----

func.func @rows(%x: tensor<2x2x!nn.string>) {
  %none = nn.none
  // expected-error @+1 {{dimension 0 of input must be 1, found 2}}
  %0 = nn.string_normalize %x, %none {case_action = "UPPER", case_sensitive = false} : (tensor<2x2x!nn.string>, none) -> tensor<*x!nn.string>
  return
}

// -----

func.func @action(%x: tensor<2x!nn.string>) {
  %none = nn.none
  // expected-error @+1 {{case_action must be NONE, LOWER or UPPER, found TITLE}}
  %0 = nn.string_normalize %x, %none {case_action = "TITLE", case_sensitive = false} : (tensor<2x!nn.string>, none) -> tensor<*x!nn.string>
  return
}

// -----

func.func @pool(%x: tensor<6xi32>, %pool: tensor<3x!nn.string>) {
  // expected-error @+1 {{looks for '!nn.string' in a tensor of 'i32'}}
  %0 = nn.tf_idf %x, %pool {mode = "TF", min_gram_length = 1 : i64, max_gram_length = 1 : i64, max_skip_count = 0 : i64, ngram_counts = array<i64: 0>, ngram_indexes = array<i64: 0>, weights = array<f64>} : (tensor<6xi32>, tensor<3x!nn.string>) -> tensor<*xf32>
  return
}

// -----

func.func @counts(%x: tensor<6xi32>, %pool: tensor<3xi64>) {
  // expected-error @+1 {{ngram_counts must start with 0 and not fall}}
  %0 = nn.tf_idf %x, %pool {mode = "TF", min_gram_length = 1 : i64, max_gram_length = 1 : i64, max_skip_count = 0 : i64, ngram_counts = array<i64: 0, 2, 1>, ngram_indexes = array<i64: 0>, weights = array<f64>} : (tensor<6xi32>, tensor<3xi64>) -> tensor<*xf32>
  return
}

// -----

func.func @lengths(%x: tensor<6xi32>, %pool: tensor<3xi64>) {
  // expected-error @+1 {{n-grams cannot be of length 2 to 1}}
  %0 = nn.tf_idf %x, %pool {mode = "TF", min_gram_length = 2 : i64, max_gram_length = 1 : i64, max_skip_count = 0 : i64, ngram_counts = array<i64: 0>, ngram_indexes = array<i64: 0>, weights = array<f64>} : (tensor<6xi32>, tensor<3xi64>) -> tensor<*xf32>
  return
}
