// RUN: quern-opt %s --nn-infer-shapes --split-input-file | FileCheck %s

// CHECK-LABEL: @strings
func.func @strings(%x: tensor<2x1x!nn.string>, %y: tensor<3x!nn.string>) {
  %none = nn.none
  // CHECK: nn.string_concat {{.*}} -> tensor<2x3x!nn.string>
  %0 = nn.string_concat %x, %y : (tensor<2x1x!nn.string>, tensor<3x!nn.string>) -> tensor<*x!nn.string>
  // CHECK: nn.string_normalize {{.*}} -> tensor<?x!nn.string>
  %1 = nn.string_normalize %y, %none {case_action = "UPPER", case_sensitive = false} : (tensor<3x!nn.string>, none) -> tensor<*x!nn.string>
  // CHECK: nn.string_split {{.*}} -> (tensor<2x1x?x!nn.string>, tensor<2x1xi64>)
  %2:2 = nn.string_split %x {delimiter = ",", maxsplit = -1 : i64} : (tensor<2x1x!nn.string>) -> (tensor<*x!nn.string>, tensor<*xi64>)
  // CHECK: nn.regex_match {{.*}} -> tensor<2x1xi1>
  %3 = nn.regex_match %x {pattern = "a"} : (tensor<2x1x!nn.string>) -> tensor<*xi1>
  return
}

// -----

// CHECK-LABEL: @grams
func.func @grams(%x: tensor<?x6xi32>, %pool: tensor<3xi64>) {
  // CHECK: nn.tf_idf {{.*}} -> tensor<?x3xf32>
  %0 = nn.tf_idf %x, %pool {mode = "TF", min_gram_length = 1 : i64, max_gram_length = 2 : i64, max_skip_count = 0 : i64, ngram_counts = array<i64: 0, 1>, ngram_indexes = array<i64: 0, 2>, weights = array<f64>} : (tensor<?x6xi32>, tensor<3xi64>) -> tensor<*xf32>
  return
}
