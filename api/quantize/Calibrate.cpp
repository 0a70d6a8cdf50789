//===- Calibrate.cpp - what a model's values are like ---------------------===//
#include "api/quantize/Calibrate.h"

#include <algorithm>

using namespace quern;
using namespace quern::quantization;

namespace {
/// Sums up the entries of a tensor by their place along an axis.
class ChannelMeans {
public:
  explicit ChannelMeans(bool alongLast) : alongLast(alongLast) {}

  void add(const Tensor &tensor) {
    int64_t axis = alongLast ? tensor.rank() - 1 : 1;
    if (axis >= tensor.rank() || tensor.numElements() == 0)
      return;
    int64_t inner = 1;
    for (int64_t d = axis + 1; d < tensor.rank(); ++d)
      inner *= tensor.dim(d);
    int64_t channels = tensor.dim(axis);
    sums.resize(static_cast<size_t>(channels));
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      sums[static_cast<size_t>(i / inner % channels)] += tensor.data<float>()[i];
    perChannel += tensor.numElements() / channels;
  }

  std::vector<double> means() const {
    std::vector<double> result = sums;
    for (double &sum : result)
      sum /= static_cast<double>(std::max<int64_t>(perChannel, 1));
    return result;
  }

private:
  bool alongLast;
  std::vector<double> sums;
  int64_t perChannel = 0;
};

/// What is seen of one value.
struct Seen {
  Histogram histogram;
  /// Where layers read it, as convolutions and as products do.
  std::optional<ChannelMeans> channels, last;
};

class Calibrator {
public:
  Calibrator(const EditableModel &model, std::span<Layer> layers) : model(model), layers(layers) {
    for (const Layer &layer : layers)
      chosen.push_back(layer.refusal.empty());
    index = model.index();
    for (const auto &[value, with] : findRegion(model, index, layers, chosen).shared)
      seen[value];
    for (size_t i = 0; i < layers.size(); ++i)
      if (chosen[i] && layers[i].op == "Conv")
        seen.at(layers[i].input).channels.emplace(/*alongLast=*/false);
      else if (chosen[i])
        seen.at(layers[i].input).last.emplace(/*alongLast=*/true);
  }

  Status watch(std::span<const Sample> samples, const RunSettings &settings);
  Calibration finish(RangeMethod method, double percentile);

private:
  Status see(const std::string &value, const AnyValue &found);

  const EditableModel &model;
  std::span<Layer> layers;
  std::vector<bool> chosen;
  GraphIndex index;
  std::map<std::string, Seen> seen;
};
} // namespace

Status Calibrator::see(const std::string &value, const AnyValue &found) {
  const Tensor *tensor = found.asTensor();
  if (!tensor || tensor->dtype() != DType::Float32)
    return internalError("'" + value + "' is quantized, and no float32 tensor");
  Seen &of = seen.at(value);
  of.histogram.add(tensor->elementsAs<float>());
  if (of.channels)
    of.channels->add(*tensor);
  if (of.last)
    of.last->add(*tensor);
  return Status::ok();
}

/// Inputs of the graph are seen in the samples.
Status Calibrator::watch(std::span<const Sample> samples, const RunSettings &settings) {
  std::vector<std::string> outputs;
  for (const auto &[value, with] : seen)
    if (index.producer(value) >= 0)
      outputs.push_back(value);
  std::map<std::string, size_t> inputs;
  for (int i = 0; i < model.graph().input_size(); ++i)
    inputs[model.graph().input(i).name()] = static_cast<size_t>(i);
  bool hasOutputs = !outputs.empty();
  if (!hasOutputs) // a model has an output
    outputs.push_back(model.graph().output(0).name());
  QUERN_ASSIGN(LoadedModel loaded, LoadedModel::load(model, outputs, settings));
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, loaded.createRunner(settings));
  return runAll(*runner, samples, "calibrating: sample",
                [&](size_t sample, std::span<const AnyValue> found) {
                  for (size_t i = 0; i < outputs.size() && hasOutputs; ++i)
                    QUERN_TRY(see(outputs[i], found[i]));
                  for (const auto &[value, of] : seen)
                    if (auto input = inputs.find(value); input != inputs.end())
                      QUERN_TRY(see(value, samples[sample][input->second]));
                  return Status::ok();
                });
}

Calibration Calibrator::finish(RangeMethod method, double percentile) {
  Calibration result;
  for (const auto &[value, of] : seen)
    result.ranges[value] = chooseRange(of.histogram, method, percentile);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!chosen[i])
      continue;
    Layer &layer = layers[i];
    const Seen &input = seen.at(layer.input);
    auto output = seen.find(layer.output);
    if (input.histogram.hasNonFinite() ||
        (output != seen.end() && output->second.histogram.hasNonFinite()))
      layer.refusal = "its values are not all finite";
    result.inputMeans[layer.name] =
        layer.op == "Conv" ? input.channels->means() : input.last->means();
  }
  return result;
}

Expected<Calibration> quantization::calibrate(const EditableModel &model,
                                              std::vector<Layer> &layers,
                                              std::span<const Sample> samples, RangeMethod method,
                                              double percentile, const RunSettings &settings) {
  Calibrator calibrator(model, layers);
  QUERN_TRY(calibrator.watch(samples, settings));
  return calibrator.finish(method, percentile);
}
