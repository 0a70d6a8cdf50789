//===- MatrixProduct.h - what nn.matmul and nn.gemm multiply --------------===//
#pragma once

#include "backends/native/kernels/DotEngine.h"
#include "backends/native/kernels/EpilogueLoads.h"
#include "backends/native/lowering/Lowering.h"
#include "ir/NNDialect.h"

namespace quern::native {

/// batch x [m, k] * [k, n] with strides in elements.
struct MatrixProduct {
  const LoweringContext &context;
  /// Of the sums, and of the factors.
  DType dtype = DType::Float32, dtypeA = DType::Float32, dtypeB = DType::Float32;
  int64_t batch = 1, m = 1, n = 1, k = 1;
  int64_t batchStrideA = 0, rowStrideA = 0, strideKA = 1;
  int64_t batchStrideB = 0, strideKB = 0, strideNB = 1;
  /// The dimension of B that is n; -1 for a vector, of which n is 1.
  int64_t columnAxisOfB = -1;
  /// Matrices that B holds.
  int64_t batchB = 1;
  double alpha = 1, beta = 1;
  mlir::Value a = {}, b = {};
  /// Copies of the matrices of A and B, where batches broadcast crosswise.
  std::optional<StepBuffer> repeatedA = {}, repeatedB = {};
  /// The C operand of Gemm; null when there is none.
  mlir::Value c = {};
  mlir::Value result = {};
  Epilogue epilogue = {};

  DotTypes types() const { return {dtypeA, dtypeB, dtype, dtype}; }
  /// Whether B may be packed in groups: A has them side by side.
  bool canPackGroups() const { return strideKA == 1 && types().group() > 1; }
  double flops() const { return 2.0 * double(batch) * double(m) * double(n) * double(k); }
};

/// The product of an op but for its epilogue; a reason when there is no native code for it. `steps`
/// copy operands.
std::optional<Reason> resolve(nn::MatMulOp op, MatrixProduct &p, std::vector<LoweredStep> &steps);
std::optional<Reason> resolve(nn::GemmOp op, MatrixProduct &p, std::vector<LoweredStep> &steps);

// LowerRowDots.cpp: B is a vector, or a few, or A is a vector that meets a few, and both are read
// by lanes along k.
/// Why `p` cannot be computed so, if it cannot.
std::optional<Reason> refuseRowDots(const MatrixProduct &p);
/// Whether A is the vector, and the columns of B are the rows: fewer than a vector has lanes.
bool swapsRowDots(const MatrixProduct &p);
/// Whether the columns of B, which is constant, are packed one after the other; else they are read
/// as they are.
bool packsRowDots(const MatrixProduct &p);
StepBuffer packForRowDots(const MatrixProduct &p);
/// The nanoseconds it is expected to take in one thread, beside those for moving bytes.
double costOfRowDots(const MatrixProduct &p, double movingNs);
/// The step, but for its buffers: A, B (B, A if swapped), the result and the epilogue's operands.
LoweredStep lowerRowDots(const MatrixProduct &p, EpilogueCode epilogue);

} // namespace quern::native
