//===- ModelCheck.h - compiled against interpreted, at all levels ---------===//
#pragma once

#include "backends/native/Compiler.h"
#include "tests/random/ModelDraw.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace quern::random {

/// How a model is compiled and run.
struct RunConfig {
  std::string targetCpu = "host";
  int optLevel = 3;
  int threads = 1;
  /// At a lower one all ops that can are lowered, whether it pays or not.
  Precision precision = Precision::Float32;
  std::string describe() const;
};

/// How often integers that may be rounded to a neighbour are.
struct StepCount {
  /// Elements that may be, over all runs, and those that are.
  int64_t compared = 0, off = 0;
  /// Models with such elements, and those with one that is off.
  int64_t models = 0, modelsOff = 0;
};

/// Runs models on the interpreter and, compiled, in several ways. Kernels are
/// shared by all models, so that most of them are compiled once.
class ModelCheck {
public:
  /// All four levels on this CPU, and one of them on a lesser one and in bfloat16, drawn by
  /// `seed`.
  static std::vector<RunConfig> usualConfigs(uint64_t seed);
  /// One of them: for half of the seeds the highest level on this CPU, else any level on any
  /// target, so that most of a long run's time goes into new models.
  static std::vector<RunConfig> oneConfig(uint64_t seed);
  /// All levels on all targets that this machine can run.
  static std::vector<RunConfig> allConfigs();

  /// What is wrong with the first of `configs` that differs from the interpreter;
  /// empty when none does. One run in two is beside inaccessible pages.
  std::string check(const RandomModel &model, const std::vector<RunConfig> &configs);

  /// The outputs of the interpreter for the last model.
  const std::vector<Tensor> &interpreted() const { return wanted; }
  /// Of the models that did not differ otherwise.
  const StepCount &steps() const { return stepCount; }
  /// Forgets the kernels of the models so far: those of long runs would fill the memory, and those
  /// of a failure may be at fault.
  void dropKernels() { kernels.clear(); }

private:
  Expected<std::vector<Tensor>> interpret(const std::string &bytes, const RandomModel &model,
                                          const RunConfig &config) const;
  Expected<std::vector<Tensor>> runCompiled(const std::string &bytes, const RandomModel &model,
                                            const RunConfig &config, bool guarded);
  static std::string difference(const RandomModel &model, const std::vector<Tensor> &found,
                                const std::vector<Tensor> &wanted, const RunConfig &config,
                                StepCount &count);

  std::vector<Tensor> wanted;
  StepCount stepCount;
  std::map<std::string, std::shared_ptr<native::LinkedKernels>> kernels;
};

/// What is wrong with the model of `seed` and `mix`, reduced to the fewest ops that show it,
/// and the model itself as text; empty when nothing is.
std::string checkSeed(ModelCheck &check, uint64_t seed, const std::vector<RunConfig> &configs,
                      DrawMix mix = DrawMix::Usual);

} // namespace quern::random
