//===- Way.cpp - the ways of computing an op ------------------------------===//
#include "backends/native/lowering/Way.h"

#include "backends/native/cost/StepTimes.h"
#include "backends/native/lowering/TuningTable.h"
#include "backends/native/lowering/WayLog.h"
#include "ir/FusionGroup.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

double native::nanoseconds(const StepCost &work, DType dtype, const Target &target) {
  constexpr double kShareOfPeak = 0.9;
  CpuRates rates = ratesOf(target);
  double perCycle = 2 * rates.productsPerCycle * static_cast<double>(target.lanes(dtype));
  // Elsewhere a group of bfloat16 is widened first, and multiplied in two parts.
  constexpr double kWidened = 0.5, kTiled = 2;
  if (dtype == DType::BFloat16)
    perCycle *= target.has(Isa::Bf16Tiles) ? kTiled
                : target.has(Isa::Bf16Dot) ? rates.pairsPerProduct
                                           : kWidened;
  return std::max(rates.nanoseconds(work.flops / perCycle) / kShareOfPeak,
                  work.bytes() / rates.fromMemory);
}

double native::nanosecondsForWeights(double bytes, const LoweringContext &context) {
  // They may be larger as they are packed, and a run touches other things, too.
  constexpr double kBeside = 1.5, kNever = std::numeric_limits<double>::infinity();
  CpuRates rates = ratesOf(context.target);
  double distance = kBeside * static_cast<double>(context.values.weightBytes());
  // Where all of a model stays in the caches, what is read drives out what must come again.
  return std::min(2 * nanosecondsToMove(bytes, distance, rates),
                  nanosecondsToMove(bytes, kNever, rates));
}

double native::costOfSteps(const LoweredSteps &steps, const StepCost &problem, double weightBytes,
                           const LoweringContext &context) {
  StepEstimate sum{.exposed = 0};
  double movingNs = nanosecondsForWeights(weightBytes, context);
  for (const LoweredStep &step : steps) {
    StepEstimate estimate = estimateStep(step, problem * step.share, context.target);
    sum.computeNs += estimate.computeNs;
    sum.exposed = std::max(sum.exposed, estimate.exposed);
    // What one step has left for another lies behind all of it.
    for (const StepBuffer &buffer : step.buffers)
      if (buffer.kind == StepBuffer::Kind::Scratch && buffer.bytes.valid()) {
        auto bytes = static_cast<double>(buffer.bytes.value());
        movingNs += nanosecondsToMove(bytes, bytes, ratesOf(context.target));
      }
  }
  return sum.nanoseconds(movingNs);
}

namespace {
struct RefusedWay {
  const Way *way;
  Reason reason;
};
} // namespace

/// What ways that can say alike is said once.
static Reason join(ArrayRef<RefusedWay> refused) {
  Reason joined{refused.front().reason.code, ""};
  bool areAlike = llvm::all_of(refused, [&](const RefusedWay &each) {
    return each.reason.text == refused.front().reason.text;
  });
  if (areAlike)
    return refused.front().reason;
  for (const RefusedWay &each : refused)
    joined.text +=
        (joined.text.empty() ? "" : "; ") + std::string(each.way->name) + ": " + each.reason.text;
  return joined;
}

/// The way that the tuning table names for a problem.
static WayChoice chooseTuned(ArrayRef<const Way *> able, ArrayRef<RefusedWay> refused,
                             const std::string &problem, const LoweringContext &context) {
  const std::string *name = context.tuning ? context.tuning->find(problem) : nullptr;
  if (!name)
    return {};
  for (const Way *way : able)
    if (*name == way->name)
      return {way};
  for (const RefusedWay &each : refused)
    if (*name == each.way->name)
      return {nullptr, Reason{each.reason.code, "the tuning table names '" + *name +
                                                    "', which cannot: " + each.reason.text}};
  return {nullptr, Reason{ReasonCode::Missing, "the tuning table names '" + *name +
                                                   "', which is no way of computing it"}};
}

/// What each way costs; nothing is asked where there is one only.
static SmallVector<double, 4> costsOf(ArrayRef<const Way *> able, Operation *op,
                                      const LoweringContext &context) {
  SmallVector<double, 4> costs(able.size());
  if (able.size() > 1)
    for (auto [cost, way] : llvm::zip_equal(costs, able))
      cost = way->cost(op, context);
  return costs;
}

static void record(ArrayRef<const Way *> able, ArrayRef<double> costs, const Way &expected,
                   const Way &used, Operation *op, std::string problem, WayLog &log) {
  WayRecord record{.problem = std::move(problem),
                   .op = op->getName().getStringRef().str(),
                   .nodes = nn::nodeName(nn::groupOf(op)->getLoc()),
                   .able = {},
                   .expected = expected.name,
                   .used = used.name};
  for (auto [cost, way] : llvm::zip_equal(costs, able))
    record.able.push_back({way->name, cost});
  log.add(std::move(record));
}

WayChoice native::chooseWay(std::span<const Way> ways, Operation *op,
                            const LoweringContext &context) {
  SmallVector<const Way *, 4> able;
  SmallVector<RefusedWay, 4> refused;
  for (const Way &way : ways) {
    std::optional<Reason> reason = way.refuse ? way.refuse(op, context) : std::nullopt;
    if (reason)
      refused.push_back({&way, std::move(*reason)});
    else
      able.push_back(&way);
  }
  if (able.empty())
    return {nullptr, join(refused)};
  bool isTuned = context.tuning && !context.tuning->isEmpty(), isLogged = context.log;
  std::string problem = isTuned || (isLogged && able.size() > 1) ? problemKey(op, context) : "";
  WayChoice choice = isTuned ? chooseTuned(able, refused, problem, context) : WayChoice{};
  if (choice.way && !isLogged)
    return choice;
  SmallVector<double, 4> costs = costsOf(able, op, context);
  const Way *expected = able[llvm::min_element(costs) - costs.begin()];
  if (!choice.way)
    choice.way = expected;
  if (isLogged && able.size() > 1)
    record(able, costs, *expected, *choice.way, op, std::move(problem), *context.log);
  return choice;
}
