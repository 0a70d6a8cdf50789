// RUN: quern-opt %s --split-input-file --verify-diagnostics --nn-verify-phase=phase=simplified
// RUN: not quern-opt %s --nn-verify-phase=phase=llvm 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: no graph phase is named 'llvm'

func.func @legal(%x: tensor<1x16x2x2xf32>) -> tensor<1x16x2x2xf32> {
  %0 = nn.relu %x : (tensor<1x16x2x2xf32>) -> tensor<1x16x2x2xf32>
  return %0 : tensor<1x16x2x2xf32>
}

// -----

func.func @packed(%x: tensor<1x16x2x2xf32>) {
  // expected-error @below {{is illegal after phase 'simplified': is blocked before layouts are assigned}}
  %0 = nn.pack %x : (tensor<1x16x2x2xf32>) -> tensor<1x1x2x2x16xf32, #nn.blocked<16>>
  return
}

// -----

func.func @blocked(%x: tensor<1x1x2x2x16xf32, #nn.blocked<16>>) {
  // expected-error @below {{is blocked before layouts are assigned}}
  %0 = nn.global_pool max %x : (tensor<1x1x2x2x16xf32, #nn.blocked<16>>) -> tensor<1x1x1x1x16xf32, #nn.blocked<16>>
  return
}

// -----

func.func @grouped(%x: tensor<2xf32>) {
  // expected-error @below {{is a group before fusion}}
  %0 = nn.group %x {
  ^bb0(%y: tensor<2xf32>):
    nn.yield %y : tensor<2xf32>
  } : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @axisFromTheEnd(%x: tensor<2x3xf32>) {
  // expected-error @below {{is illegal after phase 'simplified': has an axis that counts from the end}}
  %0 = nn.concat %x, %x {axis = -1 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  return
}

// -----

// Nobody knows yet where it counts from.
func.func @axisOfUnknownRank(%x: tensor<*xf32>) {
  %0 = nn.concat %x, %x {axis = -1 : i64} : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
  return
}

// -----

func.func @named(%x: tensor<?xf32, #nn.dims<"n">>) -> tensor<?xf32, #nn.dims<"n">> {
  %0 = nn.relu %x : (tensor<?xf32, #nn.dims<"n">>) -> tensor<?xf32, #nn.dims<"n">>
  return %0 : tensor<?xf32, #nn.dims<"n">>
}

// -----

func.func @nameless(%x: tensor<?xf32>) {
  // expected-error @below {{is illegal after phase 'simplified': has a size that is neither a number nor has a name}}
  %0 = nn.relu %x : (tensor<?xf32>) -> tensor<?xf32>
  return
}

// -----

func.func private @other()

func.func @foreign() {
  // expected-error @below {{is illegal after phase 'simplified': is no op of the nn dialect}}
  func.call @other() : () -> ()
  return
}
