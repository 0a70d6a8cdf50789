// RUN: quern-opt %s --split-input-file --verify-diagnostics --nn-verify-phase=phase=fused

func.func @grouped(%x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = nn.group %x {
  ^bb0(%y: tensor<2xf32>):
    %1 = nn.relu %y : (tensor<2xf32>) -> tensor<2xf32>
    nn.yield %1 : tensor<2xf32>
  } : (tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

// Opaque ops stand beside groups.
func.func @opaque(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = nn.transpose %x {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

func.func @elementwise(%x: tensor<2xf32>) {
  // expected-error @below {{is illegal after phase 'fused': is outside a fusion group}}
  %0 = nn.relu %x : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @anchor(%x: tensor<2x3xf32>, %y: tensor<3x4xf32>) {
  // expected-error @below {{is outside a fusion group}}
  %0 = nn.matmul %x, %y : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return
}
