//===- FakeBackend.h - a backend without code, for tests of plans ---------===//
//
// Each op, and each fusion group, becomes a step that calls reference kernels where a backend
// calls code: plans run and give what the interpreter gives, without LLVM.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/plan/OnDemandPlanner.h"
#include "runtime/running/Session.h"
#include "tests/plan/Graph.h"

#include <functional>
#include <mutex>
#include <set>
#include <string>

namespace quern::test {

/// The kernel of a step is called after its op: "fake nn.neg"; of a group, after its anchor, or
/// its last op. Equal ops of other sizes have one kernel.
class FakeLowering : public plan::OpLowering {
public:
  bool hasLowering(mlir::Operation *op) const override;
  plan::LoweringResult lower(mlir::Operation *op,
                             const plan::ShapeEnvironment &values) const override;
  plan::LoweredStep copyBytes(const plan::StepBuffer &from, const plan::StepBuffer &to,
                              int64_t bytes) const override;

  std::span<const std::shared_ptr<plan::StepObserver>> observers() const override {
    return watching;
  }

  plan::StepEstimate estimate(const plan::LoweredStep &, const StepCost &) const override {
    return {.computeNs = stepNanoseconds};
  }

  std::vector<std::shared_ptr<plan::StepObserver>> watching;
  /// What each step is expected to take; 0: nobody can tell.
  double stepNanoseconds = 0;
  /// Ops that have no native code.
  std::set<std::string> without = {"nn.nonzero", "nn.unique"};
  /// Says why a group cannot be one step; empty when it can.
  std::function<std::string(mlir::Operation *group, const plan::ShapeEnvironment &values)> refuse;
  /// The op in a refused group where it is to be cut; unless null, and it gives none, all are put
  /// apart.
  std::function<mlir::Operation *(mlir::Operation *group)> misfit;
  /// Called for each op that is lowered.
  std::function<void(mlir::Operation *op)> onLower;
};

/// Keeps the keys of the kernels that plans have asked for.
class FakeLinker : public plan::KernelLinker {
public:
  Status link(plan::UnlinkedPlan &plan, const Deadline &deadline) override;
  std::set<std::string> keys() {
    std::lock_guard lock(mutex);
    return known;
  }

private:
  std::mutex mutex;
  std::set<std::string> known;
};

/// What a graph is compiled with.
struct FakeBackend {
  std::shared_ptr<FakeLowering> lowering = std::make_shared<FakeLowering>();
  std::shared_ptr<FakeLinker> linker = std::make_shared<FakeLinker>();
  passes::PipelineOptions options = {};

  Expected<std::shared_ptr<plan::GraphFamily>> family(const Graph &graph) const;
  std::shared_ptr<plan::Instantiator> instantiator() const {
    return std::make_shared<plan::Instantiator>(lowering, options.limits, /*threads=*/1);
  }
  Expected<std::shared_ptr<Executable>> compile(const Graph &graph) const;
};

/// Runs `executable`, made of `graph`, on these inputs, in one and in two threads, compares, and
/// gives the steps.
std::vector<ProfileRow> expectSame(const Graph &graph,
                                   const std::shared_ptr<const Executable> &executable,
                                   const std::vector<Tensor> &inputs);
/// The same for inputs of integers, of a graph compiled for it.
std::vector<ProfileRow> expectExact(const Graph &graph, const FakeBackend &backend = {},
                                    const std::vector<Tensor::Dims> &dims = {});

} // namespace quern::test
