//===- BodySizes.cpp - sizes through branches and bodies ------------------===//
#include "backends/plan/BodySizes.h"

#include "backends/plan/IndexData.h"
#include "backends/plan/ShapeEnvironment.h"
#include "runtime/values/TruthValue.h"

#include "quern/CheckedSize.h"

using namespace mlir;
using namespace quern;
using namespace quern::plan;
using passes::OutlinedOp;

using Sizes = std::vector<int64_t>;
using MaybeSizes = std::optional<Sizes>;

/// Bodies at this depth and below are looked at once, so that nests cost no more than
/// their bodies.
static constexpr int kDepthOfOneLook = 2;
/// Looks at a loop's body with ever fewer assumptions.
static constexpr int kLooks = 3;

namespace {
/// One nn.run_bodies.
class BodyLook {
public:
  BodyLook(const BodyTree &around, nn::RunBodiesOp op, const ShapeEnvironment &values,
           const Deadline &deadline, int depth)
      : op(op), outlined((*around.outlined)[static_cast<size_t>(op.getNumber())]),
        bodies(around.bodies[static_cast<size_t>(op.getNumber())]), values(values),
        deadline(deadline), depth(depth) {
    call.results.resize(op.getNumResults());
  }

  BodyCall look() {
    if (outlined.kind == OutlinedOp::Kind::If)
      lookAtBranches();
    else
      lookAtIterations();
    return std::move(call);
  }

private:
  /// A body for the arguments at hand; nullopt when it cannot be looked at, or would
  /// fail.
  std::optional<ShapeEnvironment> lookInto(const BodyTree &body) const;
  KnownValue known(Value value, bool withElements = true) const;
  std::optional<bool> knownFlag(Value value) const;

  void lookAtBranches();
  void lookAtIterations();
  void addLoopArguments();
  void addScanArguments();
  std::optional<ShapeEnvironment> findInvariants();
  void countLoopTrips(const ShapeEnvironment &body);
  void setCollected(const ShapeEnvironment *body);
  /// The argument of the first carried value, and what the body yields for it.
  size_t firstArgument() const { return outlined.kind == OutlinedOp::Kind::Loop ? 2 : 0; }
  size_t firstYielded() const { return outlined.kind == OutlinedOp::Kind::Loop ? 1 : 0; }

  nn::RunBodiesOp op;
  const OutlinedOp &outlined;
  const std::vector<const BodyTree *> &bodies;
  const ShapeEnvironment &values;
  const Deadline &deadline;
  int depth;
  BodyCall call;
};
} // namespace

//===----------------------------------------------------------------------===//
// What is known
//===----------------------------------------------------------------------===//

static MaybeSizes sizesIn(const ShapeEnvironment &table, Value value) {
  return table.hasSizes(value) ? MaybeSizes(table.sizesOf(value).vec()) : std::nullopt;
}

/// The values that a body yields.
static OperandRange yieldedBy(const BodyTree &body) {
  return body.graph->main().getBody().front().getTerminator()->getOperands();
}

KnownValue BodyLook::known(Value value, bool withElements) const {
  KnownValue result{sizesIn(values, value)};
  if (!withElements || !result.sizes || productOf(*result.sizes) > kMaxIndexElements)
    return result;
  if (isIndexType(dtypeOfValue(value)))
    result.elements = values.tensorOf(value).value_or(Tensor());
  return result;
}

static std::optional<bool> flagOf(const std::optional<Tensor> &tensor) {
  if (!tensor || tensor->dtype() != DType::Bool || tensor->numElements() != 1)
    return std::nullopt;
  return truthValue(*tensor);
}

std::optional<bool> BodyLook::knownFlag(Value value) const {
  return values.hasSizes(value) && values.elementsOf(value) == 1 ? flagOf(values.tensorOf(value))
                                                                 : std::nullopt;
}

std::optional<ShapeEnvironment> BodyLook::lookInto(const BodyTree &body) const {
  if (!body.graph)
    return std::nullopt;
  ShapeEnvironment table(*body.graph, deadline);
  for (auto [argument, found] : llvm::zip(body.graph->main().getArguments(), call.arguments)) {
    if (found.sizes)
      table.setSizes(argument, *found.sizes);
    if (found.elements.isPresent())
      table.setElements(argument, found.elements);
  }
  if (!inferSizes(table, *body.graph, body, deadline, depth + 1).isOk())
    return std::nullopt;
  return table;
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

/// Whether all runs of the body end with an error.
static bool alwaysFails(const BodyTree &body) {
  return llvm::any_of(body.graph->nodes(),
                      [](const OptimizedGraph::Node &node) { return isa<nn::FailOp>(node.op); });
}

/// A branch that fails gives nothing that others would have to fit.
void BodyLook::lookAtBranches() {
  for (Value operand : op.getInputs().drop_front())
    call.arguments.push_back(known(operand));
  std::optional<bool> condition = knownFlag(op.getInputs().front());
  bool isFirst = true;
  for (size_t i = 0; i < 2; ++i) {
    if (condition && *condition != (i == 0))
      continue;
    const BodyTree &branch = *bodies[i];
    std::optional<ShapeEnvironment> table = lookInto(branch);
    if (branch.graph && (!table || alwaysFails(branch)))
      continue;
    for (size_t r = 0; r < call.results.size(); ++r) {
      MaybeSizes found = table ? sizesIn(*table, yieldedBy(branch)[r]) : std::nullopt;
      if (isFirst)
        call.results[r] = found;
      else if (call.results[r] != found)
        call.results[r] = std::nullopt;
    }
    isFirst = false;
  }
}

//===----------------------------------------------------------------------===//
// Iterations
//===----------------------------------------------------------------------===//

void BodyLook::addLoopArguments() {
  call.arguments.push_back({outlined.numberDims});
  Tensor yes = Tensor::of<bool>(outlined.conditionDims, {true});
  call.arguments.push_back({outlined.conditionDims, yes});
  for (Value initial : op.getInputs().drop_front(2).take_front(outlined.numCarried))
    call.arguments.push_back(known(initial, /*withElements=*/false));
}

/// Also finds the number of slices.
void BodyLook::addScanArguments() {
  for (Value initial : op.getInputs().take_front(outlined.numCarried))
    call.arguments.push_back(known(initial, /*withElements=*/false));
  for (size_t i = 0; i < outlined.inputAxes.size(); ++i) {
    KnownValue slice = known(op.getInputs()[outlined.numCarried + i], /*withElements=*/false);
    int64_t axis = outlined.inputAxes[i];
    auto rank = static_cast<int64_t>(slice.sizes ? slice.sizes->size() : 0);
    axis += axis < 0 ? rank : 0;
    if (slice.sizes && axis >= 0 && axis < rank) {
      auto at = slice.sizes->begin() + axis;
      call.trips = *at;
      slice.sizes->erase(at);
    } else {
      slice.sizes = std::nullopt;
    }
    call.arguments.push_back(std::move(slice));
  }
}

/// Assumes that carried values stay as large as they are, until a look at the body
/// contradicts nothing that is still assumed.
std::optional<ShapeEnvironment> BodyLook::findInvariants() {
  const BodyTree &body = *bodies.front();
  int looks = depth < kDepthOfOneLook ? kLooks : 1;
  while (looks-- > 0) {
    std::optional<ShapeEnvironment> table = lookInto(body);
    if (!table)
      return std::nullopt;
    bool isConfirmed = true;
    for (size_t i = 0; i < outlined.numCarried; ++i) {
      MaybeSizes &assumed = call.arguments[firstArgument() + i].sizes;
      if (!assumed || assumed == sizesIn(*table, yieldedBy(body)[firstYielded() + i]))
        continue;
      assumed = std::nullopt;
      isConfirmed = false;
    }
    if (isConfirmed)
      return table;
  }
  return std::nullopt;
}

/// The trip count, if the body always yields true.
void BodyLook::countLoopTrips(const ShapeEnvironment &body) {
  Value limit = op.getInputs()[0], condition = op.getInputs()[1];
  std::optional<bool> goesOn = nn::isNone(condition) ? true : knownFlag(condition);
  std::optional<bool> next = flagOf(body.tensorOf(yieldedBy(*bodies.front())[0]));
  if (nn::isNone(limit) || !goesOn || (*goesOn && (!next || !*next)))
    return;
  KnownValue count = known(limit);
  if (count.elements.isPresent() && count.elements.dtype() == DType::Int64 &&
      count.elements.numElements() == 1)
    call.trips = *goesOn ? std::max<int64_t>(*count.elements.data<int64_t>(), 0) : 0;
}

/// The sizes of what is collected; of no slices, as the step makes them.
void BodyLook::setCollected(const ShapeEnvironment *body) {
  for (size_t i = 0; i < outlined.outputAxes.size() && call.trips; ++i) {
    MaybeSizes slice = outlined.slices[i];
    if (*call.trips > 0)
      slice = body ? sizesIn(*body,
                             yieldedBy(*bodies.front())[firstYielded() + outlined.numCarried + i])
                   : std::nullopt;
    if (!slice)
      continue;
    int64_t axis = outlined.outputAxes[i], rank = static_cast<int64_t>(slice->size()) + 1;
    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank)
      continue;
    slice->insert(slice->begin() + axis, *call.trips);
    Value result = op.getResult(static_cast<unsigned>(outlined.numCarried + i));
    CheckedSize bytes =
        CheckedSize::product(*slice) * CheckedSize(dtypeBytes(dtypeOfValue(result)));
    if (bytes.valid())
      call.results[outlined.numCarried + i] = std::move(slice);
  }
}

void BodyLook::lookAtIterations() {
  bool isLoop = outlined.kind == OutlinedOp::Kind::Loop;
  if (isLoop)
    addLoopArguments();
  else
    addScanArguments();
  for (Value captured : op.getInputs().take_back(outlined.numCaptured))
    call.arguments.push_back(known(captured));
  std::optional<ShapeEnvironment> body = findInvariants();
  if (body && isLoop)
    countLoopTrips(*body);
  for (size_t i = 0; i < outlined.numCarried; ++i)
    if (body || call.trips == 0)
      call.results[i] = call.trips == 0 ? sizesIn(values, op.getInputs()[(isLoop ? 2 : 0) + i])
                                        : call.arguments[firstArgument() + i].sizes;
  setCollected(body ? &*body : nullptr);
}

BodyCall plan::lookThroughBodies(const BodyTree &around, nn::RunBodiesOp op,
                                 const ShapeEnvironment &values, const Deadline &deadline,
                                 int depth) {
  return BodyLook(around, op, values, deadline, depth).look();
}

/// Whether looking through an op's bodies may tell something.
static bool isReady(nn::RunBodiesOp op, const ShapeEnvironment &values) {
  auto lacksSizes = [&](Value v) { return isa<TensorType>(v.getType()) && !values.hasSizes(v); };
  return llvm::none_of(op.getInputs(), lacksSizes) && llvm::any_of(op.getResults(), lacksSizes);
}

Status plan::inferSizes(ShapeEnvironment &values, const OptimizedGraph &graph,
                        const BodyTree &bodies, const Deadline &deadline, int depth) {
  // In program order, so that what follows an op's results is inferred once.
  return values.inferSizes([&](Operation *each) {
    auto op = dyn_cast<nn::RunBodiesOp>(each);
    if (!op || !isReady(op, values))
      return Status::ok();
    QUERN_TRY(deadline.check("planning").withContext(graph.nodeOf(each).nodes.str()));
    BodyCall call = lookThroughBodies(bodies, op, values, deadline, depth);
    for (auto [result, found] : llvm::zip(op.getResults(), call.results))
      if (found && !values.hasSizes(result))
        values.setSizes(result, *found);
    return Status::ok();
  });
}
