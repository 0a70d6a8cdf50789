//===- ControlFlow.cpp - branches and loops of reference programs ---------===//
#include "backends/interpreter/ControlFlow.h"

#include "backends/interpreter/Interpreter.h"
#include "ir/ControlFlow.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include "mlir/Transforms/RegionUtils.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

using namespace quern;
using namespace quern::interpreter;

using Tensors = std::vector<Tensor>;
using Values = std::vector<AnyValue>;
using ValuesOrError = Expected<Values>;
using Program = std::shared_ptr<const ReferenceProgram>;

bool interpreter::isControlFlow(mlir::Operation *op) {
  return llvm::isa<nn::IfOp, nn::LoopOp, nn::ScanOp>(op);
}

std::vector<mlir::Value> interpreter::capturedValues(mlir::Operation *op) {
  llvm::SetVector<mlir::Value> values;
  mlir::getUsedValuesDefinedAbove(op->getRegions(), values);
  return {values.begin(), values.end()};
}

static Expected<Program> programOf(mlir::Region &region, llvm::ArrayRef<mlir::Value> captured) {
  QUERN_ASSIGN(ReferenceProgram program, ReferenceProgram::create(region.front(), captured));
  return Program(std::make_shared<const ReferenceProgram>(std::move(program)));
}

/// The results may share storage with other values: none is written to. `inputs` are used up.
static ValuesOrError runOn(const ReferenceProgram &program, Values inputs, Budget &budget) {
  return program.run({inputs, budget, {}, /*takeable=*/inputs}, {.mayShare = true});
}

/// Operands [begin, end) of a call, moved out of it where that is allowed.
static Values operandsOf(const ReferenceArguments &arguments, size_t begin, size_t end) {
  Values values;
  for (size_t i = begin; i < end; ++i)
    values.push_back(arguments.take(i));
  return values;
}
static Values operandsFrom(const ReferenceArguments &arguments, size_t begin) {
  return operandsOf(arguments, begin, arguments.inputs.size());
}

/// The body's arguments, then what it captures.
static Values join(Values arguments, const Values &captured) {
  arguments.insert(arguments.end(), captured.begin(), captured.end());
  return arguments;
}

//===----------------------------------------------------------------------===//
// Scalars and slices
//===----------------------------------------------------------------------===//

template <typename T> static Expected<T> scalarOf(const AnyValue &value, const std::string &what) {
  QUERN_ASSIGN(Tensor tensor, value.toTensor());
  if (tensor.dtype() != dtypeOf<T>() || tensor.numElements() != 1)
    return invalidInput(
        fmt::format("{} is {}, wanted one {}", what, tensor.describe(), dtypeName(dtypeOf<T>())));
  return tensor.data<T>()[0];
}

namespace {
/// A tensor as [outer, length, inner] around one dimension.
struct AxisView {
  int64_t outer = 1, length = 1, inner = 1;
  AxisView(const Tensor::Dims &dims, int64_t axis) {
    for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i)
      (i < axis ? outer : i == axis ? length : inner) *= dims[static_cast<size_t>(i)];
  }
};
} // namespace

static void copyElements(const Tensor &from, int64_t fromAt, Tensor &to, int64_t toAt,
                         int64_t count) {
  if (from.dtype() == DType::String) {
    std::copy_n(from.data<std::string>() + fromAt, count, to.mutableData<std::string>() + toAt);
    return;
  }
  int64_t bytes = dtypeBytes(from.dtype());
  if (count > 0)
    std::memcpy(static_cast<char *>(to.mutableRawData()) + toAt * bytes,
                static_cast<const char *>(from.rawData()) + fromAt * bytes,
                static_cast<size_t>(count * bytes));
}

/// Slice `position` of `tensor` along `axis`, without that dimension.
static Expected<Tensor> sliceOf(const Tensor &tensor, int64_t axis, int64_t position,
                                Budget &budget) {
  Tensor::Dims dims = tensor.dims();
  AxisView view(dims, axis);
  dims.erase(dims.begin() + axis);
  QUERN_ASSIGN(Tensor slice, budget.allocate(tensor.dtype(), std::move(dims)));
  for (int64_t i = 0; i < view.outer; ++i)
    copyElements(tensor, (i * view.length + position) * view.inner, slice, i * view.inner,
                 view.inner);
  return slice;
}

/// The tensors along a new dimension `axis`; of the shape `dimsOfNone` each when there
/// are none.
static Expected<Tensor> stack(const Tensors &parts, int64_t axis, bool backwards,
                              const Tensor::Dims &dimsOfNone, DType dtype, Budget &budget) {
  Tensor::Dims dims = parts.empty() ? dimsOfNone : parts[0].dims();
  for (const Tensor &part : parts)
    if (part.dims() != dims)
      return invalidInput("iterations collect tensors of different shapes: " + formatDims(dims) +
                          " and " + formatDims(part.dims()));
  axis = axis < 0 ? axis + static_cast<int64_t>(dims.size()) + 1 : axis;
  dims.insert(dims.begin() + axis, static_cast<int64_t>(parts.size()));
  QUERN_ASSIGN(Tensor result, budget.allocate(dtype, dims));
  AxisView view(dims, axis);
  for (int64_t p = 0; p < view.length; ++p) {
    const Tensor &part = parts[static_cast<size_t>(backwards ? view.length - 1 - p : p)];
    for (int64_t i = 0; i < view.outer; ++i)
      copyElements(part, i * view.inner, result, (i * view.length + p) * view.inner, view.inner);
  }
  return result;
}

namespace {
/// What a body yields to be collected: its type, and where it goes.
struct Collected {
  DType dtype = DType::Undefined;
  /// As far as known; unknown sizes are 0.
  Tensor::Dims dims;
  int64_t axis = 0;
  bool backwards = false;
};
} // namespace

static Collected collectedOf(mlir::Value value, int64_t axis, bool backwards) {
  Collected result{nn::dtypeOf(nn::elementTypeOf(value)), {}, axis, backwards};
  std::optional<nn::Shape> shape = nn::shapeOf(value);
  if (shape)
    for (const nn::Dim &dim : shape->dims())
      result.dims.push_back(dim.isStatic() ? dim.size() : 0);
  return result;
}

/// Appends one result per collected value, and releases what was held for them.
static Status addCollected(const std::vector<Collected> &kinds, std::vector<Tensors> &parts,
                           Budget &budget, Values &results) {
  for (size_t i = 0; i < kinds.size(); ++i) {
    const Collected &kind = kinds[i];
    QUERN_ASSIGN(Tensor stacked,
                 stack(parts[i], kind.axis, kind.backwards, kind.dims, kind.dtype, budget));
    for (const Tensor &part : parts[i])
      budget.release(part.numBytes());
    parts[i].clear();
    results.push_back(std::move(stacked));
  }
  return Status::ok();
}

/// Keeps the collected values of one iteration, which begin at `first`.
static Status keepCollected(Values &yielded, size_t first, std::vector<Tensors> &parts,
                            Budget &budget) {
  for (size_t i = 0; i < parts.size(); ++i) {
    QUERN_ASSIGN(Tensor part, yielded[first + i].toTensor());
    QUERN_TRY(budget.hold(part.numBytes()));
    parts[i].push_back(std::move(part));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// The ops
//===----------------------------------------------------------------------===//

static Expected<nn::ReferenceCall> makeCall(nn::IfOp op, llvm::ArrayRef<mlir::Value> captured) {
  QUERN_ASSIGN(Program yes, programOf(op.getThenRegion(), captured));
  QUERN_ASSIGN(Program no, programOf(op.getElseRegion(), captured));
  return nn::ReferenceCall([yes, no](const ReferenceArguments &arguments) -> ValuesOrError {
    QUERN_ASSIGN(bool condition, scalarOf<bool>(arguments.inputs[0], "the condition"));
    return runOn(condition ? *yes : *no, operandsFrom(arguments, 1), arguments.budget);
  });
}

static Expected<nn::ReferenceCall> makeCall(nn::LoopOp op, llvm::ArrayRef<mlir::Value> captured) {
  QUERN_ASSIGN(Program body, programOf(op.getBody(), captured));
  size_t carried = op.getInitial().size();
  Tensor::Dims numberDims = nn::loopScalarDims(op.getBody().getArgument(0));
  Tensor::Dims conditionDims = nn::loopScalarDims(op.getBody().getArgument(1));
  std::vector<Collected> kinds;
  for (mlir::Value value :
       op.getBody().front().getTerminator()->getOperands().drop_front(carried + 1))
    kinds.push_back(collectedOf(value, /*axis=*/0, /*backwards=*/false));
  return nn::ReferenceCall([body, carried, kinds, numberDims,
                            conditionDims](const ReferenceArguments &arguments) -> ValuesOrError {
    Budget &budget = arguments.budget;
    int64_t trips = INT64_MAX;
    bool goesOn = true;
    if (AnyValue count = arguments.inputs[0]; count.isPresent()) {
      QUERN_ASSIGN(trips, scalarOf<int64_t>(count, "the trip count"));
    }
    if (AnyValue condition = arguments.inputs[1]; condition.isPresent()) {
      QUERN_ASSIGN(goesOn, scalarOf<bool>(condition, "the condition"));
    }
    Values values = operandsOf(arguments, 2, 2 + carried);
    Values around = operandsFrom(arguments, 2 + carried);
    std::vector<Tensors> parts(kinds.size());
    for (int64_t i = 0; i < trips && goesOn; ++i) {
      QUERN_TRY(budget.check());
      Values inputs = {Tensor::of<int64_t>(numberDims, {i}),
                       Tensor::of<bool>(conditionDims, {goesOn})};
      std::move(values.begin(), values.end(), std::back_inserter(inputs));
      QUERN_ASSIGN(Values yielded, runOn(*body, join(std::move(inputs), around), budget));
      QUERN_ASSIGN(goesOn, scalarOf<bool>(yielded[0], "the condition that the body yields"));
      std::move(yielded.begin() + 1, yielded.begin() + 1 + static_cast<ptrdiff_t>(carried),
                values.begin());
      QUERN_TRY(keepCollected(yielded, carried + 1, parts, budget));
    }
    QUERN_TRY(addCollected(kinds, parts, budget, values));
    return values;
  });
}

namespace {
/// The operands of a scan that the body gets in slices.
struct ScanInputs {
  std::vector<int64_t> axes, directions;

  /// The dimensions counted from the front, and the number of slices.
  Expected<int64_t> resolve(const Tensors &inputs) {
    int64_t length = -1;
    for (size_t i = 0; i < axes.size(); ++i) {
      int64_t rank = inputs[i].rank();
      axes[i] += axes[i] < 0 ? rank : 0;
      if (axes[i] < 0 || axes[i] >= rank)
        return invalidInput(
            fmt::format("cannot scan dimension {} of {}", axes[i], inputs[i].describe()));
      if (length >= 0 && inputs[i].dim(axes[i]) != length)
        return invalidInput(
            fmt::format("scans tensors of {} and {} slices", length, inputs[i].dim(axes[i])));
      length = inputs[i].dim(axes[i]);
    }
    return length;
  }
};
} // namespace

static Expected<nn::ReferenceCall> makeCall(nn::ScanOp op, llvm::ArrayRef<mlir::Value> captured) {
  QUERN_ASSIGN(Program body, programOf(op.getBody(), captured));
  ScanInputs given{op.getInputAxes().vec(), op.getInputDirections().vec()};
  size_t states = op.getInputs().size() - given.axes.size();
  std::vector<Collected> kinds;
  auto yielded = op.getBody().front().getTerminator()->getOperands().drop_front(states);
  for (auto [i, value] : llvm::enumerate(yielded))
    kinds.push_back(collectedOf(value, op.getOutputAxes()[i], op.getOutputDirections()[i] == 1));
  return nn::ReferenceCall([body, given, states,
                            kinds](const ReferenceArguments &arguments) -> ValuesOrError {
    Budget &budget = arguments.budget;
    ScanInputs scan = given;
    Tensors scanned;
    for (size_t i = 0; i < scan.axes.size(); ++i) {
      QUERN_ASSIGN(Tensor tensor, arguments.inputs[states + i].toTensor());
      scanned.push_back(std::move(tensor));
    }
    Values around = operandsFrom(arguments, states + scan.axes.size());
    QUERN_ASSIGN(int64_t length, scan.resolve(scanned));
    Values values = operandsOf(arguments, 0, states);
    std::vector<Tensors> parts(kinds.size());
    for (int64_t i = 0; i < length; ++i) {
      QUERN_TRY(budget.check());
      Values inputs(std::make_move_iterator(values.begin()), std::make_move_iterator(values.end()));
      for (size_t j = 0; j < scanned.size(); ++j) {
        int64_t position = scan.directions[j] == 1 ? length - 1 - i : i;
        QUERN_ASSIGN(Tensor slice, sliceOf(scanned[j], scan.axes[j], position, budget));
        inputs.push_back(std::move(slice));
      }
      QUERN_ASSIGN(Values yielded, runOn(*body, join(std::move(inputs), around), budget));
      std::move(yielded.begin(), yielded.begin() + static_cast<ptrdiff_t>(states), values.begin());
      QUERN_TRY(keepCollected(yielded, states, parts, budget));
    }
    QUERN_TRY(addCollected(kinds, parts, budget, values));
    return values;
  });
}

Expected<nn::ReferenceCall> interpreter::makeControlFlowCall(mlir::Operation *op) {
  std::vector<mlir::Value> captured = capturedValues(op);
  if (auto branch = llvm::dyn_cast<nn::IfOp>(op))
    return makeCall(branch, captured);
  if (auto loop = llvm::dyn_cast<nn::LoopOp>(op))
    return makeCall(loop, captured);
  return makeCall(llvm::cast<nn::ScanOp>(op), captured);
}
