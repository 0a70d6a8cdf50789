//===- MatrixProduct.cpp - what nn.matmul and nn.gemm multiply ------------===//
#include "backends/native/lowering/MatrixProduct.h"

#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/kernels/DotKernel.h"
#include "ir/FusionGroup.h"
#include "runtime/values/Strides.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

/// Splits NumPy batch dimensions; false when they broadcast crosswise, which needs
/// more than one stride.
static bool resolveBatch(ArrayRef<int64_t> a, ArrayRef<int64_t> b, MatrixProduct &p) {
  int64_t batchA = productOf(a), batchB = productOf(b);
  p.batchB = batchB;
  if (batchB == 1) { // all rows of all A matrices meet the same B
    p.m *= batchA;
    return true;
  }
  p.batch = batchB;
  p.batchStrideB = p.k * p.n;
  if (batchA == 1) {
    p.batchStrideA = 0;
    return true;
  }
  p.batchStrideA = p.m * p.k;
  auto strip = [](ArrayRef<int64_t> dims) {
    while (!dims.empty() && dims.front() == 1)
      dims = dims.drop_front();
    return dims;
  };
  return strip(a) == strip(b);
}

/// The matrices of `value`, of `elements` each, as often as `batch` reads them; none
/// where that is once.
static std::optional<StepBuffer> repeatMatrices(Value value, ArrayRef<int64_t> dims,
                                                const Sizes &batch, int64_t elements, DType dtype,
                                                uint32_t number, std::vector<LoweredStep> &steps) {
  if (productOf(dims) == productOf(batch))
    return std::nullopt;
  Sizes sizes = batch, strides(batch.size(), 0);
  int64_t stride = elements;
  for (size_t d = dims.size(), to = batch.size(); d-- > 0; stride *= dims[d])
    strides[--to] = dims[d] == 1 ? 0 : stride;
  sizes.push_back(elements);
  strides.push_back(1);
  StepBuffer copy =
      StepBuffer::scratchSpace(number, CheckedSize::product(sizes) * dtypeBytes(dtype));
  size_t first = steps.size();
  appendCopy(sizes, dtype, {StepBuffer::of(value), strides}, {copy, rowMajorStrides<Sizes>(sizes)},
             steps);
  setShares(steps, first, 0);
  return copy;
}

/// Copies operands so that one stride leads from batch to batch; false when the copies
/// would be much larger than operands and result.
static bool repeatOperands(ArrayRef<int64_t> a, ArrayRef<int64_t> b, MatrixProduct &p,
                           std::vector<LoweredStep> &steps) {
  constexpr double kMostCopies = 16;
  Sizes batch(std::max(a.size(), b.size()), 1);
  for (ArrayRef<int64_t> dims : {a, b})
    for (auto [size, dim] : llvm::zip(llvm::reverse(batch), llvm::reverse(dims)))
      size = dim == 1 ? size : dim;
  p.batch = productOf(batch);
  double sizeA = double(p.m) * double(p.k), sizeB = double(p.k) * double(p.n),
         all = double(p.batch);
  double given = double(productOf(a)) * sizeA + double(productOf(b)) * sizeB;
  if (all * (sizeA + sizeB) > kMostCopies * (given + all * double(p.m) * double(p.n)))
    return false;
  p.batchB = p.batch;
  p.batchStrideA = p.m * p.k;
  p.batchStrideB = p.k * p.n;
  if (p.batch == 0 || p.m == 0 || p.n == 0 || p.k == 0)
    return true; // refused as empty
  p.repeatedA = repeatMatrices(p.a, a, batch, p.m * p.k, p.dtypeA, 1, steps);
  p.repeatedB = repeatMatrices(p.b, b, batch, p.k * p.n, p.dtypeB, 2, steps);
  return true;
}

/// Why there are no products of the elements of `p`, if there are none.
static std::optional<Reason> resolveTypes(Operation *anchor, MatrixProduct &p) {
  p.result = nn::groupOf(anchor)->getResult(0);
  p.dtype = dtypeOfValue(anchor->getResult(0));
  p.dtypeA = dtypeOfValue(anchor->getOperand(0));
  p.dtypeB = dtypeOfValue(anchor->getOperand(1));
  if (DotTypes::isNative(p.dtype))
    return std::nullopt;
  return Reason{ReasonCode::ElementType,
                "matrix products are native for types of 32 and 64 bits only"};
}

std::optional<Reason> native::resolve(nn::MatMulOp op, MatrixProduct &p,
                                      std::vector<LoweredStep> &steps) {
  if (std::optional<Reason> reason = resolveTypes(op, p))
    return reason;
  Operation *group = nn::groupOf(op);
  p.a = nn::outerValue(group, op.getA());
  p.b = nn::outerValue(group, op.getB());
  SmallVector<int64_t> a(p.context.sizesOf(p.a)), b(p.context.sizesOf(p.b));
  if (a.size() == 1)
    a.insert(a.begin(), 1);
  if (b.size() == 1)
    b.push_back(1);
  p.m = a[a.size() - 2];
  p.k = a.back();
  p.n = b.back();
  p.columnAxisOfB = p.context.sizesOf(p.b).size() > 1 ? static_cast<int64_t>(b.size()) - 1 : -1;
  p.rowStrideA = p.k;
  p.strideKB = p.n;
  ArrayRef<int64_t> batchA = ArrayRef(a).drop_back(2), batchB = ArrayRef(b).drop_back(2);
  if (resolveBatch(batchA, batchB, p) || repeatOperands(batchA, batchB, p, steps))
    return std::nullopt;
  return Reason{ReasonCode::Broadcast, "batch dimensions broadcast: copies would be too large"};
}

std::optional<Reason> native::resolve(nn::GemmOp op, MatrixProduct &p, std::vector<LoweredStep> &) {
  if (std::optional<Reason> reason = resolveTypes(op, p))
    return reason;
  Operation *group = nn::groupOf(op);
  p.a = nn::outerValue(group, op.getA());
  p.b = nn::outerValue(group, op.getB());
  if (!nn::isNone(op.getC()))
    p.c = nn::outerValue(group, op.getC());
  p.alpha = op.getAlpha().convertToDouble();
  p.beta = op.getBeta().convertToDouble();
  ArrayRef<int64_t> a = p.context.sizesOf(p.a), b = p.context.sizesOf(p.b);
  p.m = op.getTransA() ? a[1] : a[0];
  p.k = op.getTransA() ? a[0] : a[1];
  p.n = op.getTransB() ? b[0] : b[1];
  p.columnAxisOfB = op.getTransB() ? 0 : 1;
  p.rowStrideA = op.getTransA() ? 1 : p.k;
  p.strideKA = op.getTransA() ? p.m : 1;
  p.strideKB = op.getTransB() ? 1 : p.n;
  p.strideNB = op.getTransB() ? p.k : 1;
  if (!isFloat(p.dtype) && (p.alpha != 1 || p.beta != 1))
    return Reason{ReasonCode::Attributes, "integers scaled by alpha or beta"};
  return std::nullopt;
}
