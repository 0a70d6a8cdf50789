//===- Way.cpp - the ways of computing an op ------------------------------===//
#include "backends/native/lowering/Way.h"

#include "backends/native/lowering/TuningTable.h"

using namespace mlir;
using namespace quern;
using namespace quern::native;

double native::nanoseconds(const StepCost &work, DType dtype, const Target &target) {
  // Two vectors at a time, at 3 GHz.
  double perLane = target.has(Isa::Fma) || target.has(Isa::Neon) ? 12 : 6;
  double flopsPerNs = perLane * static_cast<double>(target.lanes(dtype));
  constexpr double kBytesPerNs = 8;
  return std::max(work.flops / flopsPerNs, work.bytes() / kBytesPerNs);
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

/// The way that the tuning table names for the op.
static WayChoice chooseTuned(ArrayRef<const Way *> able, ArrayRef<RefusedWay> refused,
                             Operation *op, const LoweringContext &context) {
  if (!context.tuning || context.tuning->isEmpty())
    return {};
  const std::string *name = context.tuning->find(problemKey(op, context));
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
  WayChoice choice = chooseTuned(able, refused, op, context);
  if (choice.way)
    return choice;
  choice.way = able.front();
  if (able.size() == 1)
    return choice;
  double least = choice.way->cost(op, context);
  for (const Way *way : ArrayRef(able).drop_front())
    if (double cost = way->cost(op, context); cost < least) {
      choice.way = way;
      least = cost;
    }
  return choice;
}
