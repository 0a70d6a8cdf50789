//===- Models.h - models whose time is looked into ------------------------===//
#pragma once

#include "quern/SampleInputs.h"
#include "quern/TimeAnalysis.h"
#include "tests/frontend/ModelBuilder.h"

namespace quern::timing::test {

using onnx::test::ModelBuilder;

inline Model load(const ModelBuilder &builder) {
  std::string bytes = builder.bytes();
  auto model = Model::load({.bytes = std::as_bytes(std::span(bytes))});
  EXPECT_TRUE(model) << model.status().message();
  return model.take();
}

inline Tensor randomFloats(const Tensor::Dims &dims, uint64_t seed = 1) {
  return randomTensor(DType::Float32, dims, seed).take();
}

/// Rates of this machine, measured once for all tests.
inline const MachineRates &machineRates() {
  static const MachineRates rates = measureMachine(1).take();
  return rates;
}

/// How a model is looked into: one thread, for a moment.
struct Settings {
  CompileOptions compile = {.threads = 1, .kernelCache = false};
  RunnerOptions session = {.threads = 1};
  TimeAnalysisOptions options = {.seconds = 0.02, .tries = false, .rates = machineRates()};
};

inline TimeAnalysis analyze(const ModelBuilder &builder, const Settings &settings = {}) {
  Model model = load(builder);
  std::vector<AnyValue> inputs = sampleInputs(model.inputs(), 1).take();
  auto analysis = analyzeTime(model, inputs, settings.compile, settings.session, settings.options);
  EXPECT_TRUE(analysis) << analysis.status().message();
  return analysis ? analysis.take() : TimeAnalysis();
}

/// The cause of this kind; a failure of the test when there is none.
inline TimeCause causeOf(const TimeAnalysis &analysis, CauseKind kind) {
  for (const TimeCause &cause : analysis.causes)
    if (cause.kind == kind)
      return cause;
  ADD_FAILURE() << "no cause " << causeKindName(kind);
  return {.kind = kind, .title = ""};
}

/// What costs most; but for the number of threads, which is one here, and should be more.
inline std::string firstCause(const TimeAnalysis &analysis) {
  for (const TimeCause &cause : analysis.causes)
    if (cause.kind != CauseKind::Threads)
      return std::string(causeKindName(cause.kind));
  return "";
}

} // namespace quern::timing::test
