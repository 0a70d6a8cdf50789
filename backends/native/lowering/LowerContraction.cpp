//===- LowerContraction.cpp - matrix products -----------------------------===//
#include "backends/native/cost/StepTimes.h"
#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/PackWeights.h"
#include "backends/native/kernels/TiledDotKernel.h"
#include "backends/native/lowering/LoweringTable.h"
#include "backends/native/lowering/MatrixProduct.h"
#include "backends/native/target/TileChoice.h"
#include "backends/plan/CostRules.h"
#include "backends/plan/ShapeEnvironment.h"
#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"
#include "runtime/values/CeilDiv.h"

#include <bit>
#include <fmt/compile.h>
#include <fmt/format.h>
#include <utility>

using namespace mlir;
using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
/// How a kernel reads B: each is a way of computing the product.
enum class FormOfB {
  PackedAhead,  ///< a constant, packed before the run
  PackedByStep, ///< packed in the run
  Plain,        ///< as it is
  Vector,       ///< a vector or a few, by lanes along k
};
} // namespace

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

/// Rows and columns of `p` in its result. A product with a vector has no columns, and rows of a
/// batch start anew.
static ResultAxes axesOf(const MatrixProduct &p) {
  ArrayRef<int64_t> sizes = p.context.sizesOf(p.result);
  auto rank = static_cast<int64_t>(sizes.size());
  bool hasColumns = p.context.sizesOf(p.b).size() > 1,
       isMatrix = hasColumns && p.context.sizesOf(p.a).size() > 1;
  ResultAxes axes;
  if (rank > 0 && hasColumns)
    axes.columns = {rank - 1};
  if (!isMatrix || rank < 2)
    return axes;
  if (p.batch == 1) { // rows of all matrices follow each other
    axes.rows = llvm::to_vector(llvm::seq<int64_t>(0, rank - 1));
  } else if (p.batch == productOf(sizes.drop_back(2))) {
    axes.rowsOfBatch = llvm::to_vector(llvm::seq<int64_t>(0, rank - 1));
    axes.columnsOfBatch = llvm::to_vector(llvm::seq<int64_t>(0, rank - 2));
    axes.columnsOfBatch.push_back(rank - 1);
  }
  return axes;
}

/// A flat space in tiles that suit the columns, unless only the run can tell how
/// many these are; the rows do not matter.
static DotSpec makeSpec(const MatrixProduct &p, const Target &target) {
  int64_t columns = p.columnAxisOfB < 0 ? 1 : p.context.fixedSize(p.b, p.columnAxisOfB).value_or(0);
  std::optional<nn::Shape> shapeOfA = nn::shapeOf(p.a);
  bool oneRow = p.m == 1 && shapeOfA && (shapeOfA->isStatic() || shapeOfA->rank() == 1);
  TileShape shape = chooseGemmTile(target, p.dtype, columns, oneRow);
  DotSpec spec;
  spec.tile.types = p.types();
  spec.tile.lanes = target.lanes(p.dtype);
  spec.tile.vectors = shape.vectors;
  spec.heights = shape.heights;
  // A row of fewer vectors would wait for each multiply-add.
  constexpr int64_t kFewestSums = 4;
  if (oneRow)
    spec.tile.chains = std::max<int64_t>(kFewestSums / shape.vectors, 1);
  spec.flat = true;
  spec.contiguousColumns = true;
  spec.maskColumns = columns == 0 || columns % spec.tile.columns() != 0;
  return spec;
}

static bool mayBeTiled(const MatrixProduct &p, const DotSpec &spec) {
  return spec.tile.group > 1 && TileUnit::has(p.context.target, spec.tile.types);
}

/// What tiles of matrices take at once along k.
static int64_t tileStep(const MatrixProduct &p) {
  return TileUnit::kRowBytes / dtypeBytes(p.dtypeB);
}

/// Whether tiles of matrices multiply these rows in less time than vectors, if B is packed.
static bool isTiled(const MatrixProduct &p, const DotSpec &spec) {
  return mayBeTiled(p, spec) &&
         tilesPay(spec.tile.types, p.m, ceilDiv(p.k, tileStep(p)), TileUnit::kRowBytes);
}

/// The elements that a packed B has whole numbers of along k: groups, or what tiles take at once
/// where these multiply it; of weights also where they may, for any number of rows reads the same.
static int64_t packedStep(const MatrixProduct &p, const DotSpec &spec) {
  bool isForTiles = spec.tile.packedB ? mayBeTiled(p, spec) : isTiled(p, spec);
  return isForTiles ? tileStep(p) : spec.tile.group;
}

/// The strides of B as [batch][column tile][k][tileColumns], with whole steps of k.
static void setPackedStrides(const MatrixProduct &p, const DotSpec &spec, DotDims &dims) {
  int64_t step = packedStep(p, spec), tileColumns = spec.tile.columns();
  dims.tileStrideB = ceilDiv(p.k, step) * step * tileColumns;
  dims.batchStrideB = p.batchB == 1 ? 0 : ceilDiv(p.n, tileColumns) * dims.tileStrideB;
}

/// B packed ahead of the run, and alpha into it unless its elements would round.
static StepBuffer packAhead(MatrixProduct &p, DotSpec &spec, DotDims &dims) {
  if (p.strideKA == 1)
    spec.tile.group = p.types().group();
  // Where k is not fixed there are no packed weights.
  spec.tile.partialGroup = p.k % spec.tile.group != 0;
  if (spec.heights.front() > 1)
    spec.tile.linesAhead = spec.tile.linesOfHalfAStep();
  setPackedStrides(p, spec, dims);
  bool hasHalves = p.dtypeA == p.dtype && isFloat(p.dtypeB) && dtypeBytes(p.dtypeB) == 2;
  spec.widensPanel = hasHalves && spec.heights.size() > 1;
  MatrixPack pack{p.batchB,
                  p.k,
                  p.n,
                  p.strideKB,
                  p.strideNB,
                  spec.tile.columns(),
                  /*scale=*/1,
                  spec.tile.group,
                  packedStep(p, spec)};
  if (p.dtypeB == p.dtype)
    pack.scale = std::exchange(p.alpha, 1);
  std::string how = fmt::format(FMT_COMPILE("matrix {} {} {} {} {}"), p.k, p.strideNB,
                                pack.tileColumns, std::bit_cast<uint64_t>(pack.scale), pack.group);
  if (pack.step != pack.group)
    how += fmt::format(FMT_COMPILE(" {}"), pack.step);
  return StepBuffer::packed(
      *p.context.values.weightOf(p.b), how,
      [pack](const Tensor &view, const auto &done) { return packMatrix(view, pack, done); });
}

static StepBuffer plainB(const MatrixProduct &p) {
  return p.repeatedB ? *p.repeatedB : StepBuffer::of(p.b);
}

/// B packed by a step. The kernel on vectors is the one that reads B as it is, for the number of
/// rows may change: the stride of B differs.
static StepBuffer packByStep(const MatrixProduct &p, DotSpec &spec, DotDims &dims,
                             std::vector<LoweredStep> &steps) {
  int64_t tileColumns = spec.tile.columns();
  spec.tile.packedB = false;
  if (p.canPackGroups())
    spec.tile.group = p.types().group();
  // The number of k may change, too.
  spec.tile.partialGroup = spec.tile.group > 1;
  dims.strideB = tileColumns * spec.tile.group;
  setPackedStrides(p, spec, dims);
  PackShape shape{p.batchB,    p.batchStrideB,  p.k,
                  p.n,         p.strideKB,      p.strideNB,
                  tileColumns, spec.tile.group, packedStep(p, spec)};
  StepBuffer packed = StepBuffer::scratchSpace(0, shape.packedElements() * dtypeBytes(p.dtypeB));
  steps.push_back(packColumns(plainB(p), packed, shape, p.dtypeB));
  return packed;
}

/// B as it is.
static StepBuffer readPlain(const MatrixProduct &p, DotSpec &spec, DotDims &dims) {
  spec.tile.packedB = false;
  dims.strideB = p.strideKB;
  dims.batchStrideB = p.batchStrideB;
  dims.tileStrideB = spec.tile.columns();
  return plainB(p);
}

/// Puts alpha, beta, C and the group's epilogue into `epilogue`; a reason when an
/// operand is read in a way without native code.
static std::optional<Reason> addEpilogue(MatrixProduct &p, EpilogueCode &epilogue) {
  if (p.c) {
    std::optional<OperandAccess> access = accessOf(p.c, p.result, {{0}, {1}}, p.context);
    if (!access)
      return Reason{ReasonCode::Broadcast, "C broadcasts in a way without native code"};
    epilogue.access.push_back(*access);
  }
  for (const Epilogue::Operand &operand : p.epilogue.operands)
    epilogue.access.push_back(operand.access);
  epilogue.program = prependScaling(p);
  return std::nullopt;
}

/// The dims but for those of B, and of how rows and k are split up.
static void fillDims(const MatrixProduct &p, const DotSpec &spec, DotDims &dims) {
  int64_t tileColumns = spec.tile.columns();
  dims.columnTiles = ceilDiv(p.n, tileColumns);
  dims.tilesPerGroup = dims.columnTiles;
  dims.batchStrideA = p.batchStrideA;
  dims.batchStrideC = p.m * p.n;
  dims.rowsOfBatch = p.m;
  dims.tileStrideC = tileColumns;
  dims.rowStrideA = p.rowStrideA;
  dims.rowStrideC = p.n;
  dims.columns = p.n;
}

static LineWork lineWork(const MatrixProduct &p) {
  return {.batches = p.batch,
          .flops = p.flops(),
          .bytesOfA = double(p.m) * double(p.k) * double(dtypeBytes(p.dtypeA)),
          .bytesOfB = double(p.n) * double(p.k) * double(dtypeBytes(p.dtypeB)),
          .threads = p.context.threads};
}

/// Whether a column tile of B is too large for the second cache, beside the next one.
static bool splitsK(const MatrixProduct &p, const DotSpec &spec, const DotDims &dims) {
  constexpr int64_t kMostBytes = 400 << 10;
  return spec.tile.packedB && spec.heights.size() > 1 && isFloat(p.dtype) && !spec.widensPanel &&
         !spec.tile.partialGroup && dims.tileStrideB * dtypeBytes(p.dtypeB) > kMostBytes;
}

/// The kernel on vectors.
static LoweredStep stepOfVectors(const MatrixProduct &p, DotSpec spec, DotDims dims) {
  dims.coverRows(spec, p.m);
  dims.splitLines(lineWork(p));
  dims.levels[0] = {p.k / spec.tile.group, p.strideKA * spec.tile.group};
  dims.leftOver = p.k % spec.tile.group;
  spec.splitsK = splitsK(p, spec, dims);
  if (spec.splitsK)
    dims.splitK(spec);
  dims.shareAhead(spec);
  LoweredStep step;
  step.scratchBytes = spec.widensPanel ? dims.tileStrideB * dtypeBytes(p.dtype)
                      : spec.splitsK   ? dims.bytesOfPartialSums(spec)
                                       : 0;
  step.kernel = kernelOf(std::move(spec));
  step.dims = flattenDims(dims);
  step.tasks = p.batch * dims.columnTiles * dims.lineChunks();
  step.grain = chooseGrain(step.tasks, p.flops());
  return step;
}

namespace {
/// A kernel on tiles of matrices, and its dims.
struct TiledProduct {
  TiledDotSpec spec;
  TiledDotDims dims;

  TiledProduct(const MatrixProduct &p, DotSpec dot, const DotDims &dims);
  int64_t tasks(const MatrixProduct &p) const {
    return p.batch * dims.dot.columnTiles * dims.dot.lineChunks();
  }
};
} // namespace

TiledProduct::TiledProduct(const MatrixProduct &p, DotSpec dot, const DotDims &vectorDims) {
  int64_t step = tileStep(p);
  spec = {std::move(dot), /*partialStep=*/p.k % step != 0};
  spec.dot.tile.packedB = true;
  spec.dot.tile.partialGroup = false;
  spec.dot.tile.linesAhead = 0;
  spec.dot.tile.chains = 1;
  spec.dot.tile.levels = {{}};
  spec.dot.heights = {};
  dims.dot = vectorDims;
  dims.dot.levels[0] = {p.k / step, step};
  dims.stepElements = step;
  dims.leftOver = p.k % step;
  dims.coverRows(spec, /*lines=*/1, p.m, TileUnit::kRowBytes);
  dims.splitLines(lineWork(p));
  dims.splitK(spec);
  dims.shareAhead(spec);
}

static LoweredStep stepOfTiles(const MatrixProduct &p, DotSpec spec, const DotDims &dims) {
  TiledProduct product(p, std::move(spec), dims);
  LoweredStep result;
  result.tasks = product.tasks(p);
  result.dims = flattenDims(product.dims);
  result.scratchBytes = product.dims.bytesOfPartialSums(product.spec);
  result.kernel = kernelOf(std::move(product.spec));
  result.grain = grainOfTiles(result.tasks, lineWork(p));
  return result;
}

/// The step of tiles of sums, and those before it that B needs: a reason when there is no native
/// code for it.
static ReasonOr<StepBuffer> lowerTiles(MatrixProduct &p, FormOfB form, LoweredStep &step,
                                       LoweredSteps &steps) {
  DotSpec spec = makeSpec(p, p.context.target);
  DotDims dims;
  StepBuffer b = form == FormOfB::PackedAhead    ? packAhead(p, spec, dims)
                 : form == FormOfB::PackedByStep ? packByStep(p, spec, dims, steps)
                                                 : readPlain(p, spec, dims);
  spec.tile.levels = {{DotSpec::kRuntime, p.strideKA == 1 ? spec.tile.group : DotSpec::kRuntime,
                       std::max<int64_t>(spec.tile.chains, 2)}};
  if (std::optional<Reason> reason = addEpilogue(p, spec.epilogue))
    return *reason;
  spec.tile.types.c = spec.epilogue.resultType();
  fillDims(p, spec, dims);
  step = form != FormOfB::Plain && isTiled(p, spec) ? stepOfTiles(p, std::move(spec), dims)
                                                    : stepOfVectors(p, std::move(spec), dims);
  return b;
}

static LoweringResult lowerProduct(MatrixProduct &p, FormOfB form, std::vector<LoweredStep> steps) {
  if (p.m == 0 || p.n == 0 || p.k == 0 || p.batch == 0)
    return Reason{ReasonCode::Shape, "an operand is empty"};
  LoweredSteps result = std::move(steps);
  LoweredStep step;
  StepBuffer b;
  if (form == FormOfB::Vector) {
    EpilogueCode epilogue;
    if (std::optional<Reason> reason = addEpilogue(p, epilogue))
      return *reason;
    step = lowerRowDots(p, std::move(epilogue));
    b = packsRowDots(p) ? packForRowDots(p) : plainB(p);
  } else {
    auto tiles = lowerTiles(p, form, step, result);
    if (!tiles)
      return tiles.reason();
    b = tiles.take();
  }
  step.buffers = {p.repeatedA ? *p.repeatedA : StepBuffer::of(p.a), std::move(b),
                  StepBuffer::of(p.result)};
  if (form == FormOfB::Vector && swapsRowDots(p))
    std::swap(step.buffers[0], step.buffers[1]);
  if (p.c)
    step.buffers.push_back(StepBuffer::of(p.c));
  addOperands(p.epilogue, step);
  result.push_back(std::move(step));
  return result;
}

//===----------------------------------------------------------------------===//
// Ways
//===----------------------------------------------------------------------===//

/// Why B cannot be read in this form, if it cannot.
static std::optional<Reason> refuseForm(const MatrixProduct &p, FormOfB form) {
  if (form == FormOfB::Vector)
    return refuseRowDots(p);
  if (form == FormOfB::PackedAhead && (p.repeatedB || !p.context.values.weightOf(p.b)))
    return Reason{ReasonCode::NotConstant, "B is not constant"};
  if (form == FormOfB::Plain && p.strideNB != 1)
    return Reason{ReasonCode::Layout, "the columns of B are apart"};
  return std::nullopt;
}

/// The steps of the product itself, in one thread.
static StepEstimate estimateProduct(const MatrixProduct &p, FormOfB form) {
  DotSpec spec = makeSpec(p, p.context.target);
  if (form != FormOfB::Plain && p.canPackGroups())
    spec.tile.group = p.types().group();
  spec.tile.levels.resize(1);
  DotDims dims;
  dims.columnTiles = ceilDiv(p.n, spec.tile.columns());
  spec.tile.packedB = form == FormOfB::PackedAhead;
  if (form != FormOfB::Plain && isTiled(p, spec)) {
    TiledProduct product(p, std::move(spec), dims);
    return estimateTiledDot(product.spec, product.dims, product.tasks(p), p.context.target);
  }
  dims.coverRows(spec, p.m);
  dims.levels[0].trip = p.k / spec.tile.group;
  dims.leftOver = p.k % spec.tile.group;
  return estimateDot(spec, dims, p.batch * dims.columnTiles, p.context.target);
}

/// What it takes to have B in order, or not to have it: packing goes over it once; rows that are
/// apart cost each tile of rows a share of a pass, a larger one where B is not in the cache.
static double nanosecondsForOrder(const MatrixProduct &p, FormOfB form) {
  CpuRates rates = ratesOf(p.context.target);
  double bytes = double(p.batchB) * double(p.k) * double(p.n) * double(dtypeBytes(p.dtypeB));
  double ofMatrix = bytes / double(std::max<int64_t>(p.batchB, 1));
  bool isNear = ofMatrix <= rates.l2Bytes / 2;
  constexpr double kBytesPerCycle = 5, kNearShare = 0.01, kShare = 0.04;
  double pack = rates.nanoseconds(bytes / kBytesPerCycle);
  if (form == FormOfB::PackedByStep)
    return pack;
  constexpr double kTileRows = 6;
  double passes = std::max(1.0, double(p.m) * double(p.batch) / double(p.batchB) / kTileRows);
  return form == FormOfB::Plain ? pack * passes * (isNear ? kNearShare : kShare) : 0;
}

template <typename Op, FormOfB Form>
static std::optional<Reason> refuseProduct(Operation *op, const LoweringContext &context) {
  MatrixProduct p{.context = context};
  std::vector<LoweredStep> copies;
  std::optional<Reason> reason = resolve(cast<Op>(op), p, copies);
  return reason ? reason : refuseForm(p, Form);
}

template <typename Op, FormOfB Form>
static double costProduct(Operation *op, const LoweringContext &context) {
  MatrixProduct p{.context = context};
  std::vector<LoweredStep> copies;
  if (resolve(cast<Op>(op), p, copies))
    return 0; // which is refused
  double bytes = double(context.elementsOf(p.b)) * double(dtypeBytes(p.dtypeB));
  double waiting = context.values.weightOf(p.b) ? nanosecondsForWeights(bytes, context) : 0;
  if (Form == FormOfB::Vector)
    return costOfRowDots(p, waiting);
  return estimateProduct(p, Form).nanoseconds(waiting) + nanosecondsForOrder(p, Form);
}

template <typename Op, FormOfB Form>
static LoweringResult lowerProduct(Operation *op, const LoweringContext &context) {
  MatrixProduct p{.context = context};
  std::vector<LoweredStep> copies;
  if (std::optional<Reason> reason = resolve(cast<Op>(op), p, copies))
    return *reason;
  auto epilogue = buildEpilogue(nn::groupOf(op), context, axesOf(p));
  if (!epilogue)
    return epilogue.reason();
  p.epilogue = epilogue.take();
  return lowerProduct(p, Form, std::move(copies));
}

template <typename Op, FormOfB Form> static constexpr Way wayOf(const char *name) {
  return {name, refuseProduct<Op, Form>, costProduct<Op, Form>, lowerProduct<Op, Form>};
}

template <typename Op> static std::span<const Way> productWays() {
  static constexpr Way ways[] = {wayOf<Op, FormOfB::PackedAhead>("packed ahead"),
                                 wayOf<Op, FormOfB::PackedByStep>("packed by a step"),
                                 wayOf<Op, FormOfB::Plain>("plain"),
                                 wayOf<Op, FormOfB::Vector>("vector")};
  return ways;
}

static std::span<const Way> matMulWays() { return productWays<nn::MatMulOp>(); }
static std::span<const Way> gemmWays() { return productWays<nn::GemmOp>(); }

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

std::span<const LoweringRow> native::contractionLowerings() {
  static const LoweringRow rows[] = {
      lowered<nn::MatMulOp>(matMulWays()),
      lowered<nn::GemmOp>(gemmWays()),
  };
  return rows;
}
