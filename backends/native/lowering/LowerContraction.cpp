//===- LowerContraction.cpp - matrix products -----------------------------===//
#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/lowering/Lowering.h"
#include "backends/native/lowering/TileChoice.h"
#include "backends/plan/ValueTable.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "runtime/lib/CeilDiv.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <bit>

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
  /// Matrices that B holds.
  int64_t batchB = 1;
  double alpha = 1, beta = 1;
  Value a, b;
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

/// Splits NumPy batch dimensions; false when they broadcast in a way that needs
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

static bool resolveMatMul(nn::MatMulOp op, Operation *group, MatrixProduct &p) {
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
  p.rowStrideA = p.k;
  p.strideKB = p.n;
  return resolveBatch(ArrayRef(a).drop_back(2), ArrayRef(b).drop_back(2), p);
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
  p.rowStrideA = op.getTransA() ? 1 : p.k;
  p.strideKA = op.getTransA() ? p.m : 1;
  p.strideKB = op.getTransB() ? 1 : p.n;
  p.strideNB = op.getTransB() ? p.k : 1;
}

/// How Gemm's C is read; nullopt when it broadcasts in no such way.
static std::optional<OperandAccess> accessOfC(ArrayRef<int64_t> c, const MatrixProduct &p) {
  SmallVector<int64_t> sizes(2 - std::min<size_t>(c.size(), 2), 1);
  sizes.append(c.begin(), c.end());
  if (sizes[0] == p.m && sizes[1] == p.n)
    return OperandAccess::Full;
  if (sizes[0] == 1 && sizes[1] == 1)
    return OperandAccess::Scalar;
  if (sizes[0] == 1)
    return OperandAccess::PerColumn;
  return sizes[1] == 1 ? std::optional(OperandAccess::PerRow) : std::nullopt;
}

/// Puts `alpha * sum + beta * c` before the group's epilogue program.
static ScalarProgram prependScaling(const MatrixProduct &p) {
  const ScalarProgram &epilogue = p.epilogue.program;
  ScalarProgram out;
  bool hasC = p.c != nullptr;
  out.inputs = {p.dtype};
  if (hasC)
    out.inputs.push_back(p.dtype);
  out.inputs.insert(out.inputs.end(), epilogue.inputs.begin() + 1, epilogue.inputs.end());
  int count = static_cast<int>(out.inputs.size());
  auto append = [&](const char *name, std::vector<int> args, double constant = 0) {
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
static ResultAxes axesOf(Operation *group, const MatrixProduct &p) {
  Operation *root = nn::groupRoot(group);
  auto rank = static_cast<int64_t>(p.context.sizesOf(p.result).size());
  ResultAxes axes;
  if (isa<nn::GemmOp>(root))
    axes.rows = {0};
  if (rank > 0 && p.context.sizesOf(nn::outerValue(group, root->getOperand(1))).size() > 1)
    axes.columns = {rank - 1};
  return axes;
}

/// Fills `p`; a reason when there is no native code for it.
static std::string resolveProduct(Operation *group, MatrixProduct &p) {
  Operation *root = nn::groupRoot(group);
  p.result = group->getResult(0);
  p.dtype = dtypeOfValue(root->getResult(0));
  if (p.dtype != DType::Float32 && p.dtype != DType::Float64)
    return "matrix products are native for float32 and float64 only";
  std::string reason;
  std::optional<Epilogue> epilogue = buildEpilogue(group, p.context, axesOf(group, p), reason);
  if (!epilogue)
    return reason;
  p.epilogue = std::move(*epilogue);
  if (auto gemm = dyn_cast<nn::GemmOp>(root))
    resolveGemm(gemm, group, p);
  else if (!resolveMatMul(cast<nn::MatMulOp>(root), group, p))
    return "batch dimensions broadcast in a way without native code";
  return p.m == 0 || p.n == 0 || p.k == 0 || p.batch == 0 ? "an operand is empty" : "";
}

/// B as the kernel reads it: packed ahead of the run when it is constant (alpha is
/// packed into it then), packed by a step when that pays, or as it is.
static StepBuffer prepareB(MatrixProduct &p, DotSpec &spec, std::vector<LoweredStep> &steps) {
  int64_t tileColumns = spec.tileColumns();
  if (std::optional<Tensor> constant = p.context.values.tensorOf(p.b)) {
    MatrixPack pack{p.batchB, p.k, p.n, p.strideKB, p.strideNB, tileColumns, p.alpha};
    p.alpha = 1;
    std::string how;
    llvm::raw_string_ostream(how) << "matrix " << p.k << " " << p.strideNB << " " << tileColumns
                                  << " "
                                  << llvm::format_hex(std::bit_cast<uint64_t>(pack.scale), 0);
    return StepBuffer::packed(*constant, how,
                              [pack](const Tensor &t) { return packMatrix(t, pack); });
  }
  // Packing costs one pass over B; it pays when several row tiles read it.
  constexpr int64_t kRowsThatPayPacking = 16;
  StepBuffer plain = StepBuffer::of(p.b);
  spec.packedB = p.m >= kRowsThatPayPacking || p.strideNB != 1;
  if (!spec.packedB)
    return plain;
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
static std::string addEpilogue(const MatrixProduct &p, DotSpec &spec) {
  if (p.c) {
    std::optional<OperandAccess> access = accessOfC(p.context.sizesOf(p.c), p);
    if (!access)
      return "C broadcasts in a way without native code";
    spec.epilogue.access.push_back(*access);
  }
  for (const Epilogue::Operand &operand : p.epilogue.operands)
    spec.epilogue.access.push_back(operand.access);
  spec.epilogue.program = prependScaling(p);
  return "";
}

static DotDims dimsOf(const MatrixProduct &p, const DotSpec &spec) {
  int64_t tileColumns = spec.tileColumns();
  DotDims dims;
  dims.columnTiles = ceilDiv(p.n, tileColumns);
  dims.tilesPerGroup = dims.columnTiles;
  dims.lines = ceilDiv(p.m, spec.rows);
  dims.splitLines(p.batch, p.flops(), p.context.threads);
  dims.batchStrideA = p.batchStrideA;
  dims.batchStrideB = p.batchStrideB;
  dims.tileStrideB = tileColumns;
  if (spec.packedB) {
    dims.tileStrideB = p.k * tileColumns;
    dims.batchStrideB = p.batchB == 1 ? 0 : dims.columnTiles * dims.tileStrideB;
  }
  dims.batchStrideC = p.m * p.n;
  dims.tileStrideC = tileColumns;
  dims.rowStrideA = p.rowStrideA;
  dims.rowStrideC = p.n;
  dims.strideB = p.strideKB;
  dims.columns = p.n;
  dims.levels[0] = {p.k, p.strideKA};
  return dims;
}

LoweringResult native::lowerContraction(Operation *group, const LoweringContext &context) {
  MatrixProduct p{context};
  if (std::string reason = resolveProduct(group, p); !reason.empty())
    return LoweringResult::refuse(reason);
  DotSpec spec = DotSpec::product(context.target, p.dtype, p.m, p.n);
  spec.levels = {{DotSpec::kRuntime, p.strideKA == 1 ? 1 : DotSpec::kRuntime, 2}};
  LoweringResult result;
  StepBuffer b = prepareB(p, spec, result.steps);
  if (std::string reason = addEpilogue(p, spec); !reason.empty())
    return LoweringResult::refuse(reason);
  DotDims dims = dimsOf(p, spec);

  LoweredStep step;
  step.kernel = spec.kernel();
  step.buffers = {StepBuffer::of(p.a), std::move(b), StepBuffer::of(p.result)};
  if (p.c)
    step.buffers.push_back(StepBuffer::of(p.c));
  for (const Epilogue::Operand &operand : p.epilogue.operands)
    step.buffers.push_back(StepBuffer::of(operand.value));
  step.dims = dims.flatten();
  step.tasks = p.batch * dims.columnTiles * dims.lineChunks;
  step.flops = p.flops();
  step.grain = chooseGrain(step.tasks, step.flops);
  step.bytes = p.bytes();
  result.steps.push_back(std::move(step));
  return result;
}
