//===- Running.h - models that are run to look into them ------------------===//
#pragma once

#include "api/quantize/EditableModel.h"

#include <functional>
#include <memory>
#include <span>

namespace quern::quantization {

using Sample = std::vector<AnyValue>;

/// How all the models of one quantization are run.
struct RunSettings {
  CompileOptions compile;
  InputSizes sizes;
  /// Stands for the file in messages.
  std::string name;
};

/// A model that was made here, compiled; with other outputs than its own where they are given.
class LoadedModel {
public:
  static Expected<LoadedModel> load(const EditableModel &model, const RunSettings &settings);
  static Expected<LoadedModel> load(const EditableModel &model,
                                    const std::vector<std::string> &outputs,
                                    const RunSettings &settings);
  static Expected<LoadedModel> load(std::string bytes, const RunSettings &settings);

  const Model &imported() const { return model; }
  Expected<std::unique_ptr<Runner>> createRunner(const RunSettings &settings) const;

private:
  explicit LoadedModel(Model model) : model(std::move(model)) {}
  Model model;
};

/// Runs a model on each sample and gives the outputs to `see`, with the number of the sample.
/// Watchers are told "`doing` 3 of 12".
Status runAll(Runner &runner, std::span<const Sample> samples, const std::string &doing,
              const std::function<Status(size_t, std::span<const AnyValue>)> &see);

/// Samples for calibration, and those that are held back from it.
struct Split {
  std::vector<Sample> calibration, heldBack;
  /// There was only one sample: it is both.
  bool isShared = false;
};
/// Every fourth sample is held back. A few large ones are cut along the first dimension, where all
/// inputs have that as one symbol.
Expected<Split> splitSamples(std::span<const PortSignature> ports, std::span<const Sample> samples);

} // namespace quern::quantization
