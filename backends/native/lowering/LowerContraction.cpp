//===- LowerContraction.cpp - matrix products -----------------------------===//
#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "runtime/values/CeilDiv.h"
#include "runtime/values/Strides.h"

#include <bit>
#include <fmt/compile.h>
#include <fmt/format.h>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// batch x [m, k] * [k, n] with strides in elements.
struct MatrixProduct {
  const LoweringContext &context;
  DType dtype = DType::Float32;
  int64_t batch = 1, m = 1, n = 1, k = 1;
  int64_t batchStrideA = 0, rowStrideA = 0, strideKA = 1;
  int64_t batchStrideB = 0, strideKB = 0, strideNB = 1;
  /// The dimension of B that is n; -1 for a vector, of which n is 1.
  int64_t columnAxisOfB = -1;
  /// Matrices that B holds.
  int64_t batchB = 1;
  double alpha = 1, beta = 1;
  Value a, b;
  /// Copies of the matrices of A and B, where batches broadcast crosswise.
  std::optional<StepBuffer> repeatedA, repeatedB;
  /// The C operand of Gemm; null when there is none.
  Value c;
  Value result;
  Epilogue epilogue;

  double flops() const { return 2.0 * double(batch) * double(m) * double(n) * double(k); }
  /// Elements that are read and written, in bytes.
  double bytes() const {
    double sizeA = double(batch) * double(m) * double(k),
           sizeB = double(batchB) * double(k) * double(n);
    return double(dtypeBytes(dtype)) * (sizeA + sizeB + double(batch) * double(m) * double(n));
  }
};
} // namespace

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
  appendCopy(sizes, dtype, {StepBuffer::of(value), strides}, {copy, rowMajorStrides<Sizes>(sizes)},
             steps);
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
  p.repeatedA = repeatMatrices(p.a, a, batch, p.m * p.k, p.dtype, 1, steps);
  p.repeatedB = repeatMatrices(p.b, b, batch, p.k * p.n, p.dtype, 2, steps);
  return true;
}

static bool resolveMatMul(nn::MatMulOp op, Operation *group, MatrixProduct &p,
                          std::vector<LoweredStep> &steps) {
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
  return resolveBatch(batchA, batchB, p) || repeatOperands(batchA, batchB, p, steps);
}

static void resolveGemm(nn::GemmOp op, Operation *group, MatrixProduct &p) {
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
}

/// Puts `alpha * sum + beta * c` before the group's epilogue program.
static ScalarProgram prependScaling(MatrixProduct &p) {
  ScalarProgram &epilogue = p.epilogue.program;
  if (p.alpha == 1 && !p.c)
    return std::move(epilogue);
  ScalarProgram out;
  bool hasC = p.c != nullptr;
  out.inputs = {p.dtype};
  if (hasC)
    out.inputs.push_back(p.dtype);
  out.inputs.append(epilogue.inputs.begin() + 1, epilogue.inputs.end());
  int count = static_cast<int>(out.inputs.size());
  auto append = [&](llvm::StringLiteral name, llvm::SmallVector<int, 3> args, double constant = 0) {
    out.ops.push_back({name, {}, std::move(args), p.dtype, p.dtype, constant, 0});
    return count++;
  };
  int sum = 0, c = 1;
  if (p.alpha != 1)
    sum = append("nn.mul", {sum, append("constant", {}, p.alpha)});
  if (hasC && p.beta != 1)
    c = append("nn.mul", {c, append("constant", {}, p.beta)});
  if (hasC)
    sum = append("nn.add", {sum, c});
  // Renumber the epilogue: its input 0 is the sum, other inputs moved by C.
  int inputs = static_cast<int>(epilogue.inputs.size());
  int shift = count - inputs;
  auto renumber = [&](int v) { return v == 0 ? sum : v < inputs ? v + (hasC ? 1 : 0) : v + shift; };
  for (ScalarProgram::Op op : epilogue.ops) {
    for (int &arg : op.args)
      arg = renumber(arg);
    out.ops.push_back(std::move(op));
  }
  for (int r : epilogue.results)
    out.results.push_back(renumber(r));
  return out;
}

/// Rows and columns of the product in a result of `rank` dimensions. A product
/// with a vector has no columns, and rows of a batch start anew.
static ResultAxes axesOf(Operation *group, const LoweringContext &context) {
  Operation *anchor = nn::groupAnchor(group);
  auto rank = static_cast<int64_t>(context.sizesOf(group->getResult(0)).size());
  ResultAxes axes;
  if (isa<nn::GemmOp>(anchor))
    axes.rows = {0};
  if (rank > 0 && context.sizesOf(nn::outerValue(group, anchor->getOperand(1))).size() > 1)
    axes.columns = {rank - 1};
  return axes;
}

/// Fills what products have in common; a reason when there is no native code.
static std::optional<Misfit> resolveCommon(Operation *group, MatrixProduct &p) {
  p.result = group->getResult(0);
  p.dtype = dtypeOfValue(nn::groupAnchor(group)->getResult(0));
  if (!DotTypes::isNative(p.dtype))
    return Reason{ReasonCode::ElementType,
                  "matrix products are native for types of 32 and 64 bits only"};
  auto epilogue = buildEpilogue(group, p.context, axesOf(group, p.context));
  if (!epilogue)
    return epilogue.reason();
  p.epilogue = epilogue.take();
  return std::nullopt;
}

/// A flat space in tiles that suit the columns, unless only the run can tell how
/// many these are; the rows do not matter.
static DotSpec makeSpec(const MatrixProduct &p, const Target &target) {
  int64_t columns = p.columnAxisOfB < 0 ? 1 : p.context.fixedSize(p.b, p.columnAxisOfB).value_or(0);
  std::optional<nn::Shape> shapeOfA = nn::shapeOf(p.a);
  bool oneRow = p.m == 1 && shapeOfA && (shapeOfA->isStatic() || shapeOfA->rank() == 1);
  TileShape shape = chooseGemmTile(target, p.dtype, columns, oneRow);
  DotSpec spec;
  spec.tile.types = DotTypes::all(p.dtype);
  spec.tile.lanes = target.lanes(p.dtype);
  spec.tile.vectors = shape.vectors;
  spec.heights = shape.heights;
  spec.flat = true;
  spec.contiguousColumns = true;
  spec.maskColumns = columns == 0 || columns % spec.tile.columns() != 0;
  return spec;
}

/// The strides of B as [batch][column tile][k][tileColumns].
static void setPackedStrides(const MatrixProduct &p, int64_t tileColumns, DotDims &dims) {
  dims.tileStrideB = p.k * tileColumns;
  dims.batchStrideB = p.batchB == 1 ? 0 : ceilDiv(p.n, tileColumns) * dims.tileStrideB;
}

/// B as the kernel reads it: packed ahead of the run when it is constant (alpha is
/// packed into it then), packed by a step when that pays, or as it is. One kernel
/// serves the last two, for the number of rows may change: the stride of B differs.
static StepBuffer prepareB(MatrixProduct &p, DotSpec &spec, DotDims &dims,
                           std::vector<LoweredStep> &steps) {
  int64_t tileColumns = spec.tile.columns();
  if (auto constant = p.context.values.weightOf(p.b); constant && !p.repeatedB) {
    setPackedStrides(p, tileColumns, dims);
    MatrixPack pack{p.batchB, p.k, p.n, p.strideKB, p.strideNB, tileColumns, p.alpha};
    p.alpha = 1;
    std::string how = fmt::format(FMT_COMPILE("matrix {} {} {} {}"), p.k, p.strideNB, tileColumns,
                                  std::bit_cast<uint64_t>(pack.scale));
    return StepBuffer::packed(*constant, how, [pack](const Tensor &view, const auto &done) {
      return packMatrix(view, pack, done);
    });
  }
  // Packing costs one pass over B; it pays when several row tiles read it.
  constexpr int64_t kRowsThatPayPacking = 16;
  StepBuffer plain = p.repeatedB ? *p.repeatedB : StepBuffer::of(p.b);
  spec.tile.packedB = false;
  dims.strideB = p.strideKB;
  if (p.m < kRowsThatPayPacking && p.strideNB == 1) {
    dims.batchStrideB = p.batchStrideB;
    dims.tileStrideB = tileColumns;
    return plain;
  }
  dims.strideB = tileColumns;
  setPackedStrides(p, tileColumns, dims);
  int64_t columns = ceilDiv(p.n, tileColumns) * tileColumns;
  StepBuffer packed =
      StepBuffer::scratchSpace(0, CheckedSize(p.batchB) * p.k * columns * dtypeBytes(p.dtype));
  steps.push_back(packColumns(
      plain, packed, {p.batchB, p.batchStrideB, p.k, p.n, p.strideKB, p.strideNB, tileColumns},
      p.dtype));
  return packed;
}

/// Puts alpha, beta, C and the group's epilogue into `spec`; a reason when an
/// operand is read in a way without native code.
static std::optional<Reason> addEpilogue(MatrixProduct &p, DotSpec &spec) {
  if (p.c) {
    std::optional<OperandAccess> access = accessOf(p.c, p.result, {{0}, {1}}, p.context);
    if (!access)
      return Reason{ReasonCode::Broadcast, "C broadcasts in a way without native code"};
    spec.epilogue.access.push_back(*access);
  }
  for (const Epilogue::Operand &operand : p.epilogue.operands)
    spec.epilogue.access.push_back(operand.access);
  spec.epilogue.program = prependScaling(p);
  spec.tile.types.c = spec.epilogue.resultType();
  return std::nullopt;
}

/// The dims but for those of B.
static void fillDims(const MatrixProduct &p, const DotSpec &spec, DotDims &dims) {
  int64_t tileColumns = spec.tile.columns();
  dims.columnTiles = ceilDiv(p.n, tileColumns);
  dims.tilesPerGroup = dims.columnTiles;
  dims.coverRows(spec, p.m);
  dims.splitLines(p.batch, p.flops(), p.context.threads);
  dims.batchStrideA = p.batchStrideA;
  dims.batchStrideC = p.m * p.n;
  dims.tileStrideC = tileColumns;
  dims.rowStrideA = p.rowStrideA;
  dims.rowStrideC = p.n;
  dims.columns = p.n;
  dims.levels[0] = {p.k, p.strideKA};
}

static LoweringResult lowerProduct(MatrixProduct &p, std::vector<LoweredStep> steps = {}) {
  if (p.m == 0 || p.n == 0 || p.k == 0 || p.batch == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  const LoweringContext &context = p.context;
  DotSpec spec = makeSpec(p, context.target);
  spec.tile.levels = {{DotSpec::kRuntime, p.strideKA == 1 ? 1 : DotSpec::kRuntime, 2}};
  LoweredSteps result;
  result = std::move(steps);
  DotDims dims;
  StepBuffer b = prepareB(p, spec, dims, result);
  if (std::optional<Reason> reason = addEpilogue(p, spec))
    return *reason;
  fillDims(p, spec, dims);

  LoweredStep step;
  step.kernel = kernelOf(std::move(spec));
  step.buffers = {p.repeatedA ? *p.repeatedA : StepBuffer::of(p.a), std::move(b),
                  StepBuffer::of(p.result)};
  if (p.c)
    step.buffers.push_back(StepBuffer::of(p.c));
  for (const Epilogue::Operand &operand : p.epilogue.operands)
    step.buffers.push_back(StepBuffer::of(operand.value));
  step.dims = flattenDims(dims);
  step.tasks = p.batch * dims.columnTiles * dims.lineChunks;
  step.flops = p.flops();
  step.grain = chooseGrain(step.tasks, step.flops);
  step.bytes = p.bytes();
  result.push_back(std::move(step));
  return result;
}

LoweringResult native::lower(nn::MatMulOp op, const LoweringContext &context) {
  Operation *group = nn::groupOf(op);
  MatrixProduct p{.context = context};
  if (std::optional<Misfit> reason = resolveCommon(group, p))
    return *reason;
  std::vector<LoweredStep> copies;
  if (!resolveMatMul(op, group, p, copies))
    return Reason{ReasonCode::Broadcast, "batch dimensions broadcast: copies would be too large"};
  return lowerProduct(p, std::move(copies));
}

LoweringResult native::lower(nn::GemmOp op, const LoweringContext &context) {
  Operation *group = nn::groupOf(op);
  MatrixProduct p{.context = context};
  if (std::optional<Misfit> reason = resolveCommon(group, p))
    return *reason;
  resolveGemm(op, group, p);
  if (!isFloat(p.dtype) && (p.alpha != 1 || p.beta != 1))
    return Reason{ReasonCode::Attributes, "integers scaled by alpha or beta"};
  return lowerProduct(p);
}
