// RUN: quern-opt %s --nn-form-integer-products=all --nn-fold-constants=keep-dequantized | FileCheck %s
// RUN: quern-opt %s --nn-form-integer-products | FileCheck %s --check-prefix=NONE

// Nothing is formed unless a policy says that it pays.
// NONE-LABEL: @conv
// NONE: nn.conv_integer

// The zero point lies beyond the edges, and is in the bias: -5 * (1 + 2 + 3 + 4), -5 * -4 + 7.
// CHECK-LABEL: @conv
func.func @conv(%x: tensor<1x1x5x5xui8>) -> tensor<1x2x6x6xi32> {
  %w = nn.constant dense<[[[[1, 2], [3, 4]]], [[[-1, -1], [-1, -1]]]]> : tensor<2x1x2x2xi8>
  %zero = nn.constant dense<5> : tensor<ui8>
  %none = nn.none
  %bias = nn.constant dense<[0, 7]> : tensor<2xi32>
  // CHECK: %[[BIAS:.*]] = nn.constant dense<[-50, 27]> : tensor<2xi32>
  // CHECK: nn.conv %arg0, {{.*}}, %[[BIAS]] {{.*}}pad_value = 5{{.*}} (tensor<1x1x5x5xui8>, tensor<2x1x2x2xi8>, tensor<2xi32>) -> tensor<1x2x6x6xi32>
  %0 = nn.conv_integer %x, %w, %zero, %none, %bias {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, group = 1 : i64}
    : (tensor<1x1x5x5xui8>, tensor<2x1x2x2xi8>, tensor<ui8>, none, tensor<2xi32>) -> tensor<1x2x6x6xi32>
  return %0 : tensor<1x2x6x6xi32>
}

// Activations become uint8, weights int8, if they fit.
// CHECK-LABEL: @types
func.func @types(%x: tensor<1x1x5xi8>) -> (tensor<1x2x5xi32>, tensor<1x2x5xi32>) {
  %w = nn.constant dense<[[[128]], [[255]]]> : tensor<2x1x1xui8>
  %zeros = nn.constant dense<[128, 200]> : tensor<2xui8>
  %none = nn.none
  // CHECK-DAG: nn.constant dense<{{\[\[\[}}0{{\]\], \[\[}}55{{\]\]\]}}> : tensor<2x1x1xi8>
  // CHECK-DAG: nn.constant dense<[0, -7040]> : tensor<2xi32>
  // CHECK-DAG: %[[UNSIGNED:.*]] = nn.cast {{.*}} {to = ui8}
  // CHECK: nn.conv %[[UNSIGNED]], {{.*}}pad_value = 128
  %0 = nn.conv_integer %x, %w, %none, %zeros, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64}
    : (tensor<1x1x5xi8>, tensor<2x1x1xui8>, none, tensor<2xui8>, none) -> tensor<1x2x5xi32>
  // CHECK: nn.conv_integer
  %1 = nn.conv_integer %x, %w, %none, %none, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64}
    : (tensor<1x1x5xi8>, tensor<2x1x1xui8>, none, none, none) -> tensor<1x2x5xi32>
  return %0, %1 : tensor<1x2x5xi32>, tensor<1x2x5xi32>
}

// A zero point that only a run tells is subtracted from the sums, and put around the image. How much
// of it must be known.
// CHECK-LABEL: @run_time_zero
func.func @run_time_zero(%x: tensor<1x1x5xui8>, %zero: tensor<ui8>, %l: tensor<1x1x?xui8>) -> (tensor<1x2x5xi32>, tensor<1x2x7xi32>, tensor<1x2x?xi32>) {
  %w = nn.constant dense<[[[3]], [[4]]]> : tensor<2x1x1xi8>
  %none = nn.none
  // CHECK: %[[PADS:.*]] = nn.constant dense<[0, 0, 1, 0, 0, 1]> : tensor<6xi64>
  // CHECK: nn.conv %arg0
  // CHECK: nn.sub
  %0 = nn.conv_integer %x, %w, %zero, %none, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64}
    : (tensor<1x1x5xui8>, tensor<2x1x1xi8>, tensor<ui8>, none, none) -> tensor<1x2x5xi32>
  // CHECK: %[[PADDED:.*]] = nn.pad constant %arg0, %[[PADS]], %{{.*}} -> tensor<1x1x7xui8>
  // CHECK: nn.conv %[[PADDED]], {{.*}}pads = array<i64: 0, 0>
  // CHECK: nn.sub
  %1 = nn.conv_integer %x, %w, %zero, %none, %none {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 1, 1>, group = 1 : i64}
    : (tensor<1x1x5xui8>, tensor<2x1x1xi8>, tensor<ui8>, none, none) -> tensor<1x2x7xi32>
  // CHECK: nn.conv_integer
  %2 = nn.conv_integer %l, %w, %zero, %none, %none {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64, auto_pad = #nn<auto_pad SAME_UPPER>}
    : (tensor<1x1x?xui8>, tensor<2x1x1xi8>, tensor<ui8>, none, none) -> tensor<1x2x?xi32>
  return %0, %1, %2 : tensor<1x2x5xi32>, tensor<1x2x7xi32>, tensor<1x2x?xi32>
}

// CHECK-LABEL: @matmul
func.func @matmul(%a: tensor<?x2x3xui8, #nn.dims<"N", "", "">>, %rows: tensor<2xui8>, %b: tensor<3x2xi8>) -> (tensor<?x2x2xi32, #nn.dims<"N", "", "">>, tensor<?x2x2xi32, #nn.dims<"N", "", "">>) {
  %w = nn.constant dense<[[1, 2], [3, 4], [5, 6]]> : tensor<3x2xi8>
  %none = nn.none
  // CHECK-DAG: %[[SUMS:.*]] = nn.constant dense<{{\[\[}}9, 12{{\]\]}}> : tensor<1x2xi32>
  // CHECK-DAG: %[[PRODUCT:.*]] = nn.matmul %arg0, {{.*}} -> tensor<?x2x2xi32
  // CHECK: %[[OFFSET:.*]] = nn.mul {{.*}}, %[[SUMS]]
  // CHECK: nn.sub %[[PRODUCT]], %[[OFFSET]]
  %0 = nn.matmul_integer %a, %w, %rows, %none : (tensor<?x2x3xui8, #nn.dims<"N", "", "">>, tensor<3x2xi8>, tensor<2xui8>, none) -> tensor<?x2x2xi32, #nn.dims<"N", "", "">>
  // CHECK: nn.matmul %arg0, %arg2
  %1 = nn.matmul_integer %a, %b, %none, %none : (tensor<?x2x3xui8, #nn.dims<"N", "", "">>, tensor<3x2xi8>, none, none) -> tensor<?x2x2xi32, #nn.dims<"N", "", "">>
  return %0, %1 : tensor<?x2x2xi32, #nn.dims<"N", "", "">>, tensor<?x2x2xi32, #nn.dims<"N", "", "">>
}

// Two activations: sums of the first where the second has a zero point, and of the second less its
// own where the first has one, made before the product. What is uint8 becomes int8 by a shift.
// CHECK-LABEL: @computed
func.func @computed(%a: tensor<2x4x3xui8>, %b: tensor<2x3x5xui8>) -> tensor<2x4x5xi32> {
  %p = nn.constant dense<7> : tensor<ui8>
  %q = nn.constant dense<130> : tensor<ui8>
  // CHECK: %[[SHIFT:.*]] = nn.constant dense<-128> : tensor<i32>
  // CHECK: nn.add {{.*}}, %[[SHIFT]]
  // CHECK: %[[B:.*]] = nn.cast {{.*}} {to = i8}
  // CHECK: %[[P:.*]] = nn.constant dense<7> : tensor<i32>
  // CHECK: %[[Q:.*]] = nn.constant dense<2> : tensor<i32>
  // CHECK: %[[ROWS:.*]] = nn.reduce {{.*}} -> tensor<2x4x1xi32>
  // CHECK: %[[OFROWS:.*]] = nn.mul %[[ROWS]], %[[Q]]
  // CHECK: %[[LESS:.*]] = nn.sub {{.*}}, %[[Q]]
  // CHECK: %[[COLUMNS:.*]] = nn.reduce sum %[[LESS]]{{.*}} -> tensor<2x1x5xi32>
  // CHECK: %[[OFCOLUMNS:.*]] = nn.mul %[[COLUMNS]], %[[P]]
  // CHECK: %[[SUMS:.*]] = nn.matmul %arg0, %[[B]] : (tensor<2x4x3xui8>, tensor<2x3x5xi8>)
  // CHECK: nn.sub %[[SUMS]], %[[OFROWS]]
  // CHECK: nn.sub {{.*}}, %[[OFCOLUMNS]]
  %0 = nn.matmul_integer %a, %b, %p, %q : (tensor<2x4x3xui8>, tensor<2x3x5xui8>, tensor<ui8>, tensor<ui8>) -> tensor<2x4x5xi32>
  return %0 : tensor<2x4x5xi32>
}

// What is quantized to uint8 and used as a second factor only is quantized to int8. There are no
// sums where there are no zero points.
// CHECK-LABEL: @quantized_factors
func.func @quantized_factors(%x: tensor<20x4xf32>, %y: tensor<6x4xf32>) -> tensor<20x6xf32> {
  %scale = nn.constant dense<0.5> : tensor<f32>
  %none = nn.none
  %zero = nn.constant dense<128> : tensor<ui8>
  // CHECK: %[[A:.*]] = nn.quantize {{.*}} -> tensor<20x4xui8>
  // CHECK: %[[B:.*]] = nn.quantize {{.*}} -> tensor<6x4xi8>
  // CHECK: %[[T:.*]] = nn.transpose %[[B]]
  // CHECK: %[[SUMS:.*]] = nn.matmul %[[A]], %[[T]] : (tensor<20x4xui8>, tensor<4x6xi8>) -> tensor<20x6xi32>
  // CHECK-NOT: nn.sub
  // CHECK: return
  %0 = nn.quantize %x, %scale, %none {to = ui8, precision = f32, axis = 1 : i64, block_size = 0 : i64, saturate = true} : (tensor<20x4xf32>, tensor<f32>, none) -> tensor<20x4xui8>
  %1 = nn.dequantize %0, %scale, %none {to = f32, axis = 1 : i64, block_size = 0 : i64} : (tensor<20x4xui8>, tensor<f32>, none) -> tensor<20x4xf32>
  %2 = nn.quantize %y, %scale, %zero {to = ui8, precision = f32, axis = 1 : i64, block_size = 0 : i64, saturate = true} : (tensor<6x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<6x4xui8>
  %3 = nn.transpose %2 {perm = array<i64: 1, 0>} : (tensor<6x4xui8>) -> tensor<4x6xui8>
  %4 = nn.dequantize %3, %scale, %zero {to = f32, axis = 1 : i64, block_size = 0 : i64} : (tensor<4x6xui8>, tensor<f32>, tensor<ui8>) -> tensor<4x6xf32>
  %5 = nn.matmul %1, %4 : (tensor<20x4xf32>, tensor<4x6xf32>) -> tensor<20x6xf32>
  return %5 : tensor<20x6xf32>
}

// One factor, 0.5 * 0.25 / 2; what bounds the floats bounds the scaled sums. The int8 that the
// model quantizes to is uint8 from the start.
// CHECK-LABEL: @quantized_again
func.func @quantized_again(%x: tensor<1x1x4xf32>) -> tensor<1x2x4xui8> {
  %none = nn.none
  %xs = nn.constant dense<0.5> : tensor<f32>
  %xz = nn.constant dense<-3> : tensor<i8>
  %w = nn.constant dense<[[[3]], [[4]]]> : tensor<2x1x1xi8>
  %ws = nn.constant dense<0.25> : tensor<f32>
  %b = nn.constant dense<[16, 8]> : tensor<2xi32>
  %bs = nn.constant dense<0.125> : tensor<f32>
  %ys = nn.constant dense<2.0> : tensor<f32>
  %yz = nn.constant dense<10> : tensor<ui8>
  %most = nn.constant dense<6.0> : tensor<f32>
  // CHECK-DAG: %[[FACTOR:.*]] = nn.constant dense<6.250000e-02> : tensor<f32>
  // CHECK-DAG: %[[X:.*]] = nn.quantize %arg0, {{.*}}to = ui8
  // CHECK-DAG: %[[SUMS:.*]] = nn.conv %[[X]]
  // CHECK-DAG: %[[REAL:.*]] = nn.cast %[[SUMS]] {to = f32}
  // CHECK: %[[SCALED:.*]] = nn.mul %[[REAL]], %[[FACTOR]]
  // CHECK: %[[RELU:.*]] = nn.relu %[[SCALED]]
  // CHECK: %[[MOST:.*]] = nn.constant dense<3.000000e+00> : tensor<f32>
  // CHECK: %[[BOUNDED:.*]] = nn.min %[[RELU]], %[[MOST]]
  // CHECK: nn.quantize %[[BOUNDED]]
  %0 = nn.quantize %x, %xs, %xz {to = i8, precision = f32} : (tensor<1x1x4xf32>, tensor<f32>, tensor<i8>) -> tensor<1x1x4xi8>
  %1 = nn.dequantize %0, %xs, %xz {to = f32} : (tensor<1x1x4xi8>, tensor<f32>, tensor<i8>) -> tensor<1x1x4xf32>
  %2 = nn.dequantize %w, %ws, %none {to = f32} : (tensor<2x1x1xi8>, tensor<f32>, none) -> tensor<2x1x1xf32>
  %3 = nn.dequantize %b, %bs, %none {to = f32} : (tensor<2xi32>, tensor<f32>, none) -> tensor<2xf32>
  %4 = nn.conv %1, %2, %3 {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 0, 0>, group = 1 : i64}
    : (tensor<1x1x4xf32>, tensor<2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4xf32>
  %5 = nn.relu %4 : (tensor<1x2x4xf32>) -> tensor<1x2x4xf32>
  %6 = nn.min %5, %most : (tensor<1x2x4xf32>, tensor<f32>) -> tensor<1x2x4xf32>
  %7 = nn.quantize %6, %ys, %yz {to = ui8, precision = f32} : (tensor<1x2x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4xui8>
  return %7 : tensor<1x2x4xui8>
}

// Floats of a product are scaled sums; a bias of another scale is added to them.
// CHECK-LABEL: @floats
func.func @floats(%x: tensor<3x2xui8>) -> (tensor<3x2xf32>, tensor<3x2xf32>) {
  %none = nn.none
  %xs = nn.constant dense<0.5> : tensor<f32>
  %w = nn.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
  %ws = nn.constant dense<[0.25, 0.5]> : tensor<2xf32>
  %c = nn.constant dense<[16, 8]> : tensor<2xi32>
  %cs = nn.constant dense<0.125> : tensor<f32>
  %0 = nn.dequantize %x, %xs, %none {to = f32} : (tensor<3x2xui8>, tensor<f32>, none) -> tensor<3x2xf32>
  %1 = nn.dequantize %w, %ws, %none {to = f32} : (tensor<2x2xi8>, tensor<2xf32>, none) -> tensor<2x2xf32>
  %2 = nn.dequantize %w, %ws, %none {to = f32, axis = 1 : i64} : (tensor<2x2xi8>, tensor<2xf32>, none) -> tensor<2x2xf32>
  %3 = nn.dequantize %c, %cs, %none {to = f32} : (tensor<2xi32>, tensor<f32>, none) -> tensor<2xf32>
  // CHECK: nn.matmul %arg0
  // CHECK: nn.mul
  // CHECK: nn.add
  %4 = nn.gemm %0, %1, %3 {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = true} : (tensor<3x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  // Of a matrix with a scale for each of its rows, of which sums are made, there are none.
  // CHECK: nn.gemm
  %5 = nn.gemm %0, %1, %3 {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = false} : (tensor<3x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  return %4, %5 : tensor<3x2xf32>, tensor<3x2xf32>
}

// Nor where the rank of the activations is only known by the product, whose result has it.
// CHECK-LABEL: @gemm_of_unknown_rank
func.func @gemm_of_unknown_rank(%x: tensor<*xui8>) -> tensor<?x2xui8> {
  %w = nn.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
  %none = nn.none
  %scale = nn.constant dense<0.5> : tensor<f32>
  %zero = nn.constant dense<3> : tensor<ui8>
  %0 = nn.dequantize %x, %scale, %none {to = f32} : (tensor<*xui8>, tensor<f32>, none) -> tensor<*xf32>
  %1 = nn.dequantize %w, %scale, %none {to = f32} : (tensor<2x2xi8>, tensor<f32>, none) -> tensor<2x2xf32>
  // CHECK: nn.gemm
  %2 = nn.gemm %0, %1, %none {alpha = 1.0, beta = 1.0, trans_a = false, trans_b = true} : (tensor<*xf32>, tensor<2x2xf32>, none) -> tensor<?x2xf32>
  %3 = nn.quantize %2, %scale, %zero {precision = f32, to = ui8} : (tensor<?x2xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x2xui8>
  return %3 : tensor<?x2xui8>
}

// A zero point for each row says how many rows there are, which the pass leaves to others: the type of a result
// must stay what the function declares.
// CHECK-LABEL: @rows_of_the_zero_point
func.func @rows_of_the_zero_point(%x: tensor<2x?x2xui8>) -> tensor<2x?x3xi32> {
  %w = nn.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi8>
  %zero = nn.constant dense<[1, 2, 3, 4, 5]> : tensor<5xui8>
  %none = nn.none
  // CHECK: nn.matmul %arg0
  // CHECK: nn.sub
  %0 = nn.matmul_integer %x, %w, %zero, %none : (tensor<2x?x2xui8>, tensor<2x3xi8>, tensor<5xui8>, none) -> tensor<2x?x3xi32>
  return %0 : tensor<2x?x3xi32>
}
