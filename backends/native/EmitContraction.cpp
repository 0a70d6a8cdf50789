//===- EmitContraction.cpp - matrix products ------------------------------===//
#include "backends/native/DotKernel.h"
#include "backends/native/GroupProgram.h"
#include "backends/native/MoveKernels.h"
#include "backends/native/PackWeights.h"
#include "backends/native/TileChoice.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <bit>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// batch x [m, k] * [k, n] with strides in elements.
struct MatrixProduct {
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
};
} // namespace

/// Splits NumPy batch dimensions; false when they broadcast in a way that needs
/// more than one stride.
static bool resolveBatch(ArrayRef<int64_t> a, ArrayRef<int64_t> b, MatrixProduct &p) {
  auto product = [](ArrayRef<int64_t> dims) {
    int64_t n = 1;
    for (int64_t d : dims)
      n *= d;
    return n;
  };
  int64_t batchA = product(a), batchB = product(b);
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
  p.a = outerValue(group, op.getA());
  p.b = outerValue(group, op.getB());
  SmallVector<int64_t> a(sizesOf(p.a)), b(sizesOf(p.b));
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
  p.a = outerValue(group, op.getA());
  p.b = outerValue(group, op.getB());
  if (!nn::isNone(op.getC()))
    p.c = outerValue(group, op.getC());
  p.alpha = op.getAlpha().convertToDouble();
  p.beta = op.getBeta().convertToDouble();
  ArrayRef<int64_t> a = sizesOf(p.a), b = sizesOf(p.b);
  p.m = op.getTransA() ? a[1] : a[0];
  p.k = op.getTransA() ? a[0] : a[1];
  p.n = op.getTransB() ? b[0] : b[1];
  p.rowStrideA = op.getTransA() ? 1 : p.k;
  p.strideKA = op.getTransA() ? p.m : 1;
  p.strideKB = op.getTransB() ? 1 : p.n;
  p.strideNB = op.getTransB() ? p.k : 1;
}

/// How Gemm's C is read; nullopt when it broadcasts in no such way.
static std::optional<DotSpec::Access> accessOfC(ArrayRef<int64_t> c, const MatrixProduct &p) {
  SmallVector<int64_t> sizes(2 - std::min<size_t>(c.size(), 2), 1);
  sizes.append(c.begin(), c.end());
  if (sizes[0] == p.m && sizes[1] == p.n)
    return DotSpec::Access::Full;
  if (sizes[0] == 1 && sizes[1] == 1)
    return DotSpec::Access::Scalar;
  if (sizes[0] == 1)
    return DotSpec::Access::PerColumn;
  return sizes[1] == 1 ? std::optional(DotSpec::Access::PerRow) : std::nullopt;
}

/// Puts `alpha * sum + beta * c` before the group's epilogue program.
static ScalarProgram prependScaling(const ScalarProgram &epilogue, const MatrixProduct &p,
                                    double alpha) {
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
  if (alpha != 1)
    sum = append("nn.mul", {sum, append("constant", {}, alpha)});
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

/// Converts the group's operand accesses; false when the product cannot serve one.
static bool convertAccess(const Epilogue &epilogue, const MatrixProduct &p,
                          ArrayRef<int64_t> result, DotSpec &spec) {
  for (const Epilogue::Operand &operand : epilogue.operands) {
    switch (operand.access) {
    case OperandAccess::Full:
      spec.epilogueAccess.push_back(DotSpec::Access::Full);
      break;
    case OperandAccess::Column:
      if (result.empty() || result.back() != p.n)
        return false;
      spec.epilogueAccess.push_back(DotSpec::Access::PerColumn);
      break;
    case OperandAccess::Scalar:
      spec.epilogueAccess.push_back(DotSpec::Access::Scalar);
      break;
    case OperandAccess::Channel:
      return false;
    }
  }
  return true;
}

LoweringResult native::lowerContraction(Operation *group, const LoweringContext &context) {
  Operation *root = groupRoot(group);
  MatrixProduct p;
  p.dtype = dtypeOfValue(root->getResult(0));
  if (p.dtype != DType::Float32 && p.dtype != DType::Float64)
    return LoweringResult::refuse("matrix products are native for float32 and float64 only");
  std::string reason;
  std::optional<Epilogue> epilogue = buildEpilogue(group, /*blocked=*/false, reason);
  if (!epilogue)
    return LoweringResult::refuse(reason);
  if (auto gemm = dyn_cast<nn::GemmOp>(root))
    resolveGemm(gemm, group, p);
  else if (!resolveMatMul(cast<nn::MatMulOp>(root), group, p))
    return LoweringResult::refuse("batch dimensions broadcast in a way without native code");
  if (p.m == 0 || p.n == 0 || p.k == 0 || p.batch == 0)
    return LoweringResult::refuse("an operand is empty");

  TileShape shape = chooseGemmTile(context.target, p.dtype, p.m, p.n);
  DotSpec spec;
  spec.dtype = p.dtype;
  spec.lanes = context.target.lanes(p.dtype);
  spec.rows = shape.rows;
  spec.vectors = shape.vectors;
  spec.flat = true;
  spec.tailRows = p.m % spec.rows;
  spec.levels = {{DotSpec::kRuntime, p.strideKA == 1 ? 1 : DotSpec::kRuntime, 2}};
  spec.contiguousColumns = true;
  int64_t tileColumns = spec.vectors * spec.lanes;
  spec.maskColumns = p.n % tileColumns != 0;

  double flops = 2.0 * double(p.batch) * double(p.m) * double(p.n) * double(p.k);
  LoweringResult result;
  std::optional<Tensor> constantB = nn::constantTensor(p.b);
  StepBuffer b = StepBuffer::of(p.b);
  double alpha = p.alpha;
  // Packing a run-time B costs one pass; it pays when several row tiles read it.
  constexpr int64_t kRowsThatPayPacking = 16;
  if (constantB) {
    MatrixPack pack{p.batchB, p.k, p.n, p.strideKB, p.strideNB, tileColumns, alpha};
    alpha = 1;
    std::string how;
    llvm::raw_string_ostream(how) << "matrix " << p.k << " " << p.strideNB << " " << tileColumns
                                  << " "
                                  << llvm::format_hex(std::bit_cast<uint64_t>(pack.scale), 0);
    b = StepBuffer::packed(*constantB, how,
                           [pack](const Tensor &t) { return packMatrix(t, pack); });
  } else if (p.m >= kRowsThatPayPacking || p.strideNB != 1) {
    int64_t tiles = (p.n + tileColumns - 1) / tileColumns;
    b = StepBuffer::scratchSpace(0, p.batchB * tiles * p.k * tileColumns * dtypeBytes(p.dtype));
    result.steps.push_back(
        packColumns(StepBuffer::of(p.b), b,
                    {p.batchB, p.batchStrideB, p.k, p.n, p.strideKB, p.strideNB, tileColumns},
                    p.dtype, context));
  } else {
    spec.packedB = false;
  }
  if (p.c) {
    auto access = accessOfC(sizesOf(p.c), p);
    if (!access)
      return LoweringResult::refuse("C broadcasts in a way without native code");
    spec.epilogueAccess.push_back(*access);
  }
  if (!convertAccess(*epilogue, p, sizesOf(root->getResult(0)), spec))
    return LoweringResult::refuse("an operand is read per channel, which has no native code here");
  spec.epilogue = prependScaling(epilogue->program, p, alpha);

  DotDims dims;
  dims.columnTiles = (p.n + tileColumns - 1) / tileColumns;
  dims.tilesPerGroup = dims.columnTiles;
  dims.lines = (p.m + spec.rows - 1) / spec.rows;
  dims.lineChunks =
      chooseLineChunks(dims.lines, dims.columnTiles * p.batch, flops, context.threads);
  dims.linesPerChunk = (dims.lines + dims.lineChunks - 1) / dims.lineChunks;
  dims.batchStrideA = p.batchStrideA;
  dims.batchStrideB =
      spec.packedB ? (p.batchB == 1 ? 0 : dims.columnTiles * p.k * tileColumns) : p.batchStrideB;
  dims.batchStrideC = p.m * p.n;
  dims.tileStrideB = spec.packedB ? p.k * tileColumns : tileColumns;
  dims.tileStrideC = tileColumns;
  dims.rowStrideA = p.rowStrideA;
  dims.rowStrideC = p.n;
  dims.strideB = p.strideKB;
  dims.columns = p.n;
  dims.levels[0] = {p.k, p.strideKA};

  LoweredStep step;
  step.kernel = spec.kernel();
  step.buffers = {StepBuffer::of(p.a), b, StepBuffer::of(group->getResult(0))};
  if (p.c)
    step.buffers.push_back(StepBuffer::of(p.c));
  for (const Epilogue::Operand &operand : epilogue->operands)
    step.buffers.push_back(StepBuffer::of(operand.value));
  step.dims = dims.flatten();
  step.tasks = p.batch * dims.columnTiles * dims.lineChunks;
  step.grain = chooseGrain(step.tasks, flops);
  step.flops = flops;
  step.bytes = double(dtypeBytes(p.dtype)) *
               (double(p.batch) * (double(p.m) * double(p.k) + double(p.m) * double(p.n)) +
                double(p.batchB) * double(p.k) * double(p.n));
  result.steps.push_back(std::move(step));
  return result;
}
