//===- FakeBackend.cpp - a backend without code, for tests of plans -------===//
#include "tests/plan/FakeBackend.h"

#include "ir/Constants.h"
#include "ir/FusionGroup.h"
#include "ir/ReferenceCall.h"
#include "ir/Signature.h"
#include "ir/Types.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"

#include <cstring>
#include <deque>

using namespace quern;
using namespace quern::plan;
using namespace quern::test;

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

namespace {
/// What a step computes: ops in their order, on values that are numbered.
struct FakeProgram {
  struct Value {
    DType dtype = DType::Undefined;
    Tensor::Dims dims = {};
    /// Of what is known already.
    Tensor constant = {};
  };
  struct Call {
    nn::ReferenceCall function;
    std::vector<size_t> operands, results;
  };
  std::vector<Value> values;
  std::vector<Call> calls;
  /// The values that are read from buffers, then those that are written to some.
  std::vector<size_t> inputs, outputs;

  Status run(void *const *buffers) const;
};

/// Plans keep the address of a program among the numbers of a step.
const FakeProgram *keep(FakeProgram program) {
  static std::mutex mutex;
  static std::deque<FakeProgram> programs;
  std::lock_guard lock(mutex);
  return &programs.emplace_back(std::move(program));
}
} // namespace

Status FakeProgram::run(void *const *buffers) const {
  Budget budget{Limits()};
  std::vector<Tensor> tensors;
  for (const Value &value : values)
    tensors.push_back(value.constant);
  for (size_t input : inputs)
    tensors[input] = Tensor::borrow(values[input].dtype, values[input].dims, *buffers++);
  for (const Call &call : calls) {
    std::vector<Tensor> operands;
    for (size_t operand : call.operands)
      operands.push_back(tensors[operand]);
    QUERN_ASSIGN(std::vector<AnyValue> results, call.function({operands, budget}));
    for (auto [number, result] : llvm::zip_equal(call.results, results))
      tensors[number] = *result.asTensor();
  }
  for (size_t output : outputs)
    if (void *place = *buffers++; place && tensors[output].numBytes() > 0)
      std::memmove(place, tensors[output].rawData(), tensors[output].numBytes());
  return Status::ok();
}

/// dims: the address of a program.
static int32_t runProgram(void *const *buffers, const int64_t *dims, int64_t, int64_t, void *) {
  auto *program = reinterpret_cast<const FakeProgram *>(dims[0]);
  return program->run(buffers).isOk() ? 0 : static_cast<int32_t>(TrapCode::IndexOutOfRange);
}

/// buffers: from, to; dims: null, bytes.
static int32_t runCopy(void *const *buffers, const int64_t *dims, int64_t, int64_t, void *) {
  if (dims[1] > 0)
    std::memcpy(buffers[1], buffers[0], static_cast<size_t>(dims[1]));
  return 0;
}

static constexpr const char *kCopy = "copy";

Status FakeLinker::link(UnlinkedPlan &plan, const Deadline &) {
  for (auto [step, origin] : llvm::zip_equal(plan.plan.steps, plan.steps))
    if (origin.kernel) {
      const KernelSpec &kernel = plan.kernels[*origin.kernel];
      step.as<KernelStep>()->function = kernel.name == kCopy ? runCopy : runProgram;
      std::lock_guard lock(mutex);
      known.insert(kernel.key);
    }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

namespace {
/// Makes the program of one op or group.
class ProgramBuilder {
public:
  explicit ProgramBuilder(const ShapeEnvironment &values) : values(values) {}

  size_t numberOf(mlir::Value value);
  Status add(mlir::Operation *op);
  void alias(mlir::Value value, mlir::Value same) { numbers[value] = numberOf(same); }

  FakeProgram program;

private:
  const ShapeEnvironment &values;
  llvm::DenseMap<mlir::Value, size_t> numbers;
};
} // namespace

size_t ProgramBuilder::numberOf(mlir::Value value) {
  auto [at, isNew] = numbers.try_emplace(value, program.values.size());
  if (!isNew)
    return at->second;
  FakeProgram::Value &made = program.values.emplace_back();
  if (nn::isNone(value))
    return at->second;
  made.dtype = dtypeOfValue(value);
  if (values.hasSizes(value))
    made.dims = values.sizesOf(value);
  if (std::optional<Tensor> constant = nn::constantTensor(value))
    made.constant = *constant;
  return at->second;
}

Status ProgramBuilder::add(mlir::Operation *op) {
  if (mlir::isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op))
    return Status::ok();
  FakeProgram::Call call;
  QUERN_ASSIGN(call.function, nn::makeReferenceCall(op));
  for (mlir::Value operand : op->getOperands())
    call.operands.push_back(numberOf(operand));
  for (mlir::Value result : op->getResults())
    call.results.push_back(numberOf(result));
  program.calls.push_back(std::move(call));
  return Status::ok();
}

/// The op that a step is called after.
static mlir::Operation *namingOp(mlir::Operation *op) {
  if (mlir::Operation *anchor = nn::groupAnchor(op))
    return anchor;
  auto group = mlir::dyn_cast<nn::GroupOp>(op);
  return group ? group.getBody().front().getTerminator()->getPrevNode() : op;
}

static Expected<FakeProgram> programOf(mlir::Operation *op, const ShapeEnvironment &values) {
  ProgramBuilder builder(values);
  for (mlir::Value operand : op->getOperands())
    if (!nn::isNone(operand))
      builder.program.inputs.push_back(builder.numberOf(operand));
  auto group = mlir::dyn_cast<nn::GroupOp>(op);
  if (!group)
    QUERN_TRY(builder.add(op));
  mlir::ValueRange results = op->getResults();
  if (group) {
    mlir::Block &body = group.getBody().front();
    for (auto [argument, operand] : llvm::zip(body.getArguments(), group.getInputs()))
      builder.alias(argument, operand);
    for (mlir::Operation &inner : body.without_terminator())
      QUERN_TRY(builder.add(&inner));
    results = body.getTerminator()->getOperands();
  }
  for (mlir::Value result : results)
    builder.program.outputs.push_back(builder.numberOf(result));
  return std::move(builder.program);
}

bool FakeLowering::hasLowering(mlir::Operation *op) const {
  auto isWithout = [&](mlir::Operation *each) {
    return without.contains(each->getName().getStringRef().str());
  };
  auto group = mlir::dyn_cast<nn::GroupOp>(op);
  return group ? llvm::none_of(llvm::make_pointer_range(group.getBody().front()), isWithout)
               : !isWithout(op);
}

LoweringResult FakeLowering::lower(mlir::Operation *op, const ShapeEnvironment &values) const {
  if (onLower)
    onLower(op);
  std::string name = namingOp(op)->getName().getStringRef().str();
  if (!hasLowering(op))
    return Reason{ReasonCode::NoKernel, "there is no fake of " + name};
  if (auto group = mlir::dyn_cast<nn::GroupOp>(op); group && refuse)
    if (std::string reason = refuse(op, values); !reason.empty())
      return Misfit({ReasonCode::Form, reason}, misfit ? misfit(op) : nullptr);
  Expected<FakeProgram> program = programOf(op, values);
  if (!program)
    return Reason{ReasonCode::Form, program.status().message()};
  LoweredStep step;
  step.kernel.name = "fake " + name;
  step.kernel.key = step.kernel.name;
  for (mlir::Value operand : op->getOperands())
    if (!nn::isNone(operand))
      step.buffers.push_back(StepBuffer::of(operand));
  // Everything is read before anything is written.
  for (size_t i = 0; i < step.buffers.size(); ++i)
    step.overwritable.push_back(static_cast<uint32_t>(i));
  for (mlir::Value result : op->getResults())
    step.buffers.push_back(StepBuffer::of(result));
  LoweredSteps steps;
  // As scatters do it: what is not replaced is copied first.
  if (op->getName().getStringRef() == "nn.scatter_elements") {
    mlir::Value whole = op->getResult(0);
    int64_t bytes = values.elementsOf(whole) * dtypeBytes(dtypeOfValue(whole));
    steps.push_back(copyBytes(step.buffers.front(), StepBuffer::of(whole), bytes));
    steps.back().copiesWhole = true;
    steps.back().share = 0;
    step.buffers.front() = StepBuffer::of(whole);
    step.overwritable.clear();
  }
  step.dims = {reinterpret_cast<int64_t>(keep(program.take()))};
  steps.push_back(std::move(step));
  return steps;
}

LoweredStep FakeLowering::copyBytes(const StepBuffer &from, const StepBuffer &to,
                                    int64_t bytes) const {
  LoweredStep step;
  step.kernel.name = step.kernel.key = kCopy;
  step.buffers = {from, to};
  step.dims = {0, bytes};
  return step;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

Expected<std::shared_ptr<GraphFamily>> FakeBackend::family(const Graph &graph) const {
  nn::OwnedModule source = nn::OwnedModule::create();
  source.module = graph.parse(*source.context);
  if (!source.module)
    return invalidModel("the test's graph does not parse:\n" + graph.text());
  return GraphFamily::create(std::move(source), options);
}

Expected<std::shared_ptr<Executable>> FakeBackend::compile(const Graph &graph) const {
  QUERN_ASSIGN(std::shared_ptr<GraphFamily> made, family(graph));
  std::vector<PortSignature> inputs = nn::inputSignature(made->main());
  std::vector<PortSignature> outputs = nn::outputSignature(made->main());
  std::shared_ptr<OnDemandPlanner> planner = OnDemandPlanner::create(
      std::move(made), instantiator(), linker, Executable::kDefaultPlanCacheBytes);
  return std::make_shared<Executable>(
      std::move(inputs), std::move(outputs),
      [planner](std::span<const Tensor::Dims> dims, const Deadline &deadline) {
        return planner->plan(dims, deadline);
      });
}

std::vector<ProfileRow> test::expectSame(const Graph &graph,
                                         const std::shared_ptr<const Executable> &executable,
                                         const std::vector<Tensor> &inputs) {
  auto wanted = runInterpreted(graph, inputs);
  EXPECT_TRUE(wanted) << wanted.status().message();
  if (!wanted)
    return {};
  std::vector<ProfileRow> steps;
  for (int threads : {2, 1}) {
    Session session(executable, {.threads = threads, .profile = true});
    auto found = session.run(inputs);
    EXPECT_TRUE(found) << found.status().message();
    if (found)
      expectSameTensors(*found, *wanted, graph.labels());
    steps = session.profile();
  }
  return steps;
}

std::vector<ProfileRow> test::expectExact(const Graph &graph, const FakeBackend &backend,
                                          const std::vector<Tensor::Dims> &dims) {
  auto executable = backend.compile(graph);
  EXPECT_TRUE(executable) << executable.status().message();
  return executable ? expectSame(graph, *executable, integerInputs(graph, dims))
                    : std::vector<ProfileRow>();
}
