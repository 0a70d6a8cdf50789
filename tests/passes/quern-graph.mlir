// RUN: rm -rf %t && mkdir %t
// RUN: quern-opt %s --quern-graph=dump-phases-to=%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=SIMPLIFIED --input-file=%t/1-simplified.mlir
// RUN: FileCheck %s --check-prefix=LAIDOUT --input-file=%t/2-laid-out.mlir
// RUN: quern-opt %s --quern-graph="dump-phases-to=%t dump-prefix=0.then." -o /dev/null
// RUN: FileCheck %s --check-prefix=SIMPLIFIED --input-file=%t/0.then.1-simplified.mlir
// RUN: quern-opt %s --quern-graph="opt-level=0" | FileCheck %s --check-prefix=O0
// RUN: quern-opt %s --quern-graph="opt-level=2" | FileCheck %s --check-prefix=O2
// RUN: quern-opt %s --quern-graph="precision=bf16" | FileCheck %s --check-prefix=BF16
// RUN: not quern-opt %s --quern-graph=to=fussed 2>&1 | FileCheck %s --check-prefix=NOPHASE
// RUN: not quern-opt %s --quern-graph=dump-phases-to=%t/missing 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NODIR

// A block of a residual network: folded, blocked once, fused into two kernels.
// CHECK-LABEL: func @main
// CHECK: nn.pack %arg0
// CHECK-NEXT: %[[A:.*]] = nn.group
// CHECK: nn.conv
// CHECK-NEXT: nn.relu
// CHECK: %[[B:.*]] = nn.group %[[A]]
// CHECK: nn.conv
// CHECK-NEXT: nn.add
// CHECK-NEXT: nn.relu
// CHECK: nn.unpack %[[B]]
// CHECK-NEXT: return

// SIMPLIFIED-NOT: nn.batch_norm
// SIMPLIFIED: nn.conv {{.*}} -> tensor<1x16x8x8xf32>
// SIMPLIFIED-NOT: nn.pack
// LAIDOUT-COUNT-1: nn.pack
// LAIDOUT-NOT: nn.pack
// LAIDOUT-COUNT-1: nn.unpack
// LAIDOUT-NOT: nn.unpack

// Every anchor and elementwise op is a kernel of its own.
// O0-COUNT-3: nn.group
// O0: nn.batch_norm
// O0-COUNT-2: nn.group
// O0-NOT: nn.group
// O2-NOT: nn.pack
// O2-COUNT-2: nn.group
// O2-NOT: nn.group

// Between the kernels lie rounded numbers, and the weights have been rounded already.
// BF16-NOT: nn.cast{{.*}}tensor<16x16x1x1
// BF16: nn.pack %{{.*}} -> tensor<1x1x8x8x16xbf16
// BF16: nn.group {{.*}}
// BF16: nn.conv
// BF16-NEXT: nn.relu
// BF16-NEXT: nn.cast %{{.*}} {to = bf16}
// BF16-NEXT: nn.yield
// BF16: nn.conv {{.*}} -> tensor<1x1x8x8x16xf32

// NOPHASE: error: no graph phase is named 'fussed'
// NODIR: error: {{.*}}cannot write the phase dump
func.func @main(%x: tensor<1x16x8x8xf32>) -> tensor<*xf32> {
  %none = nn.none
  %w = nn.constant dense<0.5> : tensor<16x16x1x1xf32>
  %c = nn.constant dense<2.0> : tensor<16xf32>
  %0 = nn.conv %x, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<1x16x8x8xf32>, tensor<16x16x1x1xf32>, none) -> tensor<*xf32>
  %1 = nn.relu %0 : (tensor<*xf32>) -> tensor<*xf32>
  %2 = nn.conv %1, %w, %none {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, group = 1 : i64} : (tensor<*xf32>, tensor<16x16x1x1xf32>, none) -> tensor<*xf32>
  %3 = nn.batch_norm %2, %c, %c, %c, %c {epsilon = 1.0e-5} : (tensor<*xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<*xf32>
  %4 = nn.add %3, %x : (tensor<*xf32>, tensor<1x16x8x8xf32>) -> tensor<*xf32>
  %5 = nn.relu %4 : (tensor<*xf32>) -> tensor<*xf32>
  return %5 : tensor<*xf32>
}
