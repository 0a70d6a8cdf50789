//===- Quantize.cpp - models with smaller numbers -------------------------===//
//
// Read, make ready, calibrate, choose between equal float models; write, measure; where the error
// is too large, rank the layers and let as few as possible stay in float; measure times.
//
//===----------------------------------------------------------------------===//
#include "quern/Quantize.h"

#include "api/quantize/Calibrate.h"
#include "api/quantize/EqualizeLayers.h"
#include "api/quantize/FoldNorms.h"
#include "api/quantize/Measure.h"
#include "api/quantize/Plan.h"
#include "api/quantize/RaiseOpset.h"
#include "quern/ConvertTensor.h"
#include "quern/Progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

using namespace quern;
using namespace quern::quantization;

namespace {
class Quantizer {
public:
  Quantizer(EditableModel given, Model original, Plan plan, RunSettings settings)
      : plan(std::move(plan)), settings(std::move(settings)), model(std::move(given)),
        original(std::move(original)) {}

  Expected<Quantization> run(std::span<const Sample> samples);

private:
  /// Layers that are quantized, and what came of it.
  struct Candidate {
    std::vector<bool> chosen;
    EditableModel model = {};
    Quantization measured = {};
  };

  /// A float model that gives what the given one does, and what is known of it.
  struct Variant {
    EditableModel model = {};
    std::vector<Layer> layers = {};
    Calibration calibration = {};
  };

  Status prepare();
  Expected<std::vector<Variant>> calibrateVariants();
  Status chooseVariant();
  Status findFloats();
  void lookForLarge(const std::string &value, const Tensor &tensor);
  Expected<EditableModel> write(const std::vector<bool> &chosen) const;
  Expected<Candidate> evaluate(std::vector<bool> chosen) const {
    return evaluate(std::move(chosen), samples.heldBack, wanted);
  }
  Expected<Candidate> evaluate(std::vector<bool> chosen, std::span<const Sample> inputs,
                               const Outputs &expected) const;
  std::vector<bool> allLayers() const;
  Status rankLayers();
  Expected<Candidate> chooseLayers();
  Status measureLayers(Candidate &candidate) const;
  Expected<Quantization> finish(Candidate candidate, int64_t bytesBefore);
  std::string resultOf(const Layer &layer) const;

  Plan plan;
  RunSettings settings;
  /// The float model: norms folded, in the opset that is written.
  EditableModel model;
  Model original;
  std::vector<Layer> layers;
  /// By layer: of the worst output, when it alone is quantized.
  std::vector<double> sensitivities;
  Calibration calibration;
  /// For float16: values that are float32, and those of them that are too large.
  std::set<std::string> floats, large;
  Split samples;
  std::unique_ptr<Runner> reference;
  Outputs wanted;
};
} // namespace

static constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

//===----------------------------------------------------------------------===//
// Before the first model is written
//===----------------------------------------------------------------------===//

/// The reasons why layers are left alone, each once.
static std::string listRefusals(std::span<const Layer> layers) {
  std::set<std::string> reasons;
  for (const Layer &layer : layers)
    reasons.insert(fmt::format("{}: {}", layer.op, layer.refusal));
  return fmt::format("{}", fmt::join(reasons, "; "));
}

Status Quantizer::prepare() {
  QUERN_TRY(raiseOpset(model, opsetOf(plan.write.mode)));
  QUERN_TRY(foldNorms(model));
  QUERN_ASSIGN(layers, findLayers(model, plan.write.mode, plan.options.keep));
  auto isLeft = [](const Layer &layer) { return !layer.refusal.empty(); };
  if (layers.empty())
    return unsupported("nothing to quantize: the model has no Conv, ConvTranspose, MatMul or Gemm "
                       "with constant float32 weights");
  if (std::ranges::all_of(layers, isLeft))
    return unsupported(
        fmt::format("nothing to quantize in mode {}: {}", plan.options.mode, listRefusals(layers)));
  sensitivities.assign(layers.size(), kUnknown);
  return plan.write.mode == Mode::Float16 ? findFloats() : Status::ok();
}

/// Asks the importer what values are floats, for a model says little of their types, and looks for
/// those that are too large for float16.
Status Quantizer::findFloats() {
  std::vector<std::string> values;
  for (const proto::NodeProto &node : model.graph().node())
    for (const std::string &output : node.output())
      if (!output.empty())
        values.push_back(output);
  QUERN_ASSIGN(LoadedModel loaded, LoadedModel::load(model, values, settings));
  for (const auto *ports : {&loaded.imported().inputs(), &loaded.imported().outputs()})
    for (const PortSignature &port : *ports)
      if (port.isTensor() && port.dtype == DType::Float32)
        floats.insert(port.name);
  for (const proto::TensorProto &constant : model.graph().initializer())
    if (constant.data_type() == proto::TensorProto::FLOAT) {
      floats.insert(constant.name());
      QUERN_ASSIGN(Tensor tensor, model.constantValue(constant.name()));
      lookForLarge(constant.name(), tensor);
    }
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, loaded.createRunner(settings));
  return runAll(*runner, samples.calibration, "calibrating: sample",
                [&](size_t, std::span<const AnyValue> found) {
                  for (size_t i = 0; i < values.size(); ++i)
                    if (const Tensor *tensor = found[i].asTensor())
                      lookForLarge(values[i], *tensor);
                  return Status::ok();
                });
}

/// Infinities are what they are in float16, too.
void Quantizer::lookForLarge(const std::string &value, const Tensor &tensor) {
  constexpr float kMostHalf = 65504;
  if (tensor.dtype() == DType::Float32 &&
      std::ranges::any_of(tensor.elementsAs<float>(),
                          [](float x) { return std::isfinite(x) && std::abs(x) > kMostHalf; }))
    large.insert(value);
}

//===----------------------------------------------------------------------===//
// Candidates
//===----------------------------------------------------------------------===//

Expected<EditableModel> Quantizer::write(const std::vector<bool> &chosen) const {
  EditableModel result = model;
  switch (plan.write.mode) {
  case Mode::Static:
    QUERN_TRY(writeStatic(result, layers, chosen, calibration, plan.write));
    break;
  case Mode::Dynamic:
    QUERN_TRY(writeDynamic(result, layers, chosen, plan.write));
    break;
  case Mode::WeightsInt8:
  case Mode::WeightsInt4:
    QUERN_TRY(writeWeights(result, layers, chosen, plan.write));
    break;
  case Mode::Float16:
    QUERN_TRY(writeFloat16(
        result, layers, chosen, [&](const std::string &value) { return floats.count(value) != 0; },
        [&](const std::string &value) { return large.count(value) == 0; }));
    break;
  }
  return result;
}

Expected<Quantizer::Candidate> Quantizer::evaluate(std::vector<bool> chosen,
                                                   std::span<const Sample> inputs,
                                                   const Outputs &expected) const {
  Candidate candidate{.chosen = std::move(chosen)};
  QUERN_ASSIGN(candidate.model, write(candidate.chosen));
  QUERN_ASSIGN(LoadedModel loaded, LoadedModel::load(candidate.model, settings));
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, loaded.createRunner(settings));
  QUERN_ASSIGN(Outputs found, outputsOf(*runner, inputs, "measuring errors: sample"));
  candidate.measured.maxError = plan.options.maxError;
  candidate.measured.minSpeedup = plan.options.minSpeedup;
  measureOutputs(original.outputs(), expected, found, candidate.measured);
  return candidate;
}

/// Those that can be quantized.
std::vector<bool> Quantizer::allLayers() const {
  std::vector<bool> all;
  for (const Layer &layer : layers)
    all.push_back(layer.refusal.empty());
  return all;
}

/// Signal to noise of the worst output.
static double worstOf(const Quantization &measured) {
  double worst = std::numeric_limits<double>::infinity();
  for (const QuantizedOutput &output : measured.outputs)
    worst = std::min(worst, output.sqnr);
  return worst;
}

//===----------------------------------------------------------------------===//
// Which float model, and which layers
//===----------------------------------------------------------------------===//

/// The float model as it is, and with the weights of neighbours on one scale.
Expected<std::vector<Quantizer::Variant>> Quantizer::calibrateVariants() {
  std::vector<Variant> variants{{.model = model, .layers = layers}};
  if (plan.options.equalize) {
    Variant equalized = variants.front();
    QUERN_ASSIGN(int pairs, equalizeLayers(equalized.model));
    QUERN_ASSIGN(equalized.layers, findLayers(equalized.model, plan.write.mode, plan.options.keep));
    if (pairs > 0)
      variants.push_back(std::move(equalized));
  }
  for (Variant &variant : variants) {
    QUERN_ASSIGN(variant.calibration, calibrate(variant.model, variant.layers, samples.calibration,
                                                plan.method, plan.options.percentile, settings));
  }
  return variants;
}

/// Takes what gives the least noise when all layers are quantized: equal weights or not, biases
/// corrected or not; what changes more must be clearly better. By samples of calibration, for what
/// is held back is for measuring only.
Status Quantizer::chooseVariant() {
  constexpr size_t kEnough = 16;
  constexpr double kClearly = 1; // decibels
  std::span<const Sample> few =
      std::span(samples.calibration).first(std::min(samples.calibration.size(), kEnough));
  QUERN_ASSIGN(Outputs expected, outputsOf(*reference, few, "running the float model: sample"));
  QUERN_ASSIGN(std::vector<Variant> variants, calibrateVariants());
  size_t best = 0;
  bool bestCorrects = false;
  double least = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < variants.size(); ++i)
    for (bool corrects : {false, true}) {
      if (corrects && !plan.options.correctBias)
        continue;
      model = variants[i].model;
      layers = variants[i].layers;
      calibration = variants[i].calibration;
      plan.write.correctBias = corrects;
      QUERN_ASSIGN(Candidate candidate, evaluate(allLayers(), few, expected));
      if (double sqnr = worstOf(candidate.measured);
          sqnr > least + kClearly || (i == 0 && !corrects)) {
        least = sqnr;
        best = i;
        bestCorrects = corrects;
      }
    }
  model = std::move(variants[best].model);
  layers = std::move(variants[best].layers);
  calibration = std::move(variants[best].calibration);
  plan.write.correctBias = bestCorrects;
  return Status::ok();
}

/// Quantizes each layer alone.
Status Quantizer::rankLayers() {
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].refusal.empty())
      continue;
    QUERN_TRY(ProgressScope::check(fmt::format("ranking layers: {} of {}", i + 1, layers.size())));
    std::vector<bool> alone(layers.size());
    alone[i] = true;
    QUERN_ASSIGN(Candidate candidate, evaluate(std::move(alone)));
    sensitivities[i] = worstOf(candidate.measured);
  }
  return Status::ok();
}

/// All layers, or as many as the bound on the error allows, by the order of their sensitivity.
/// Where it allows none, all, which the verdict refuses.
Expected<Quantizer::Candidate> Quantizer::chooseLayers() {
  std::vector<bool> all = allLayers();
  std::vector<size_t> order;
  for (size_t i = 0; i < layers.size(); ++i)
    if (all[i])
      order.push_back(i);
  QUERN_ASSIGN(Candidate best, evaluate(all));
  if (best.measured.accuracy().isOk() || order.size() < 2)
    return best;
  QUERN_TRY(rankLayers());
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(sensitivities[i], i); });
  // Few enough of the worst are left out when they are `most`, too few when `least`.
  size_t least = 0, most = order.size();
  while (most - least > 1) {
    size_t middle = least + (most - least) / 2;
    QUERN_TRY(ProgressScope::check(fmt::format("leaving {} layers in float", middle)));
    std::vector<bool> chosen = all;
    for (size_t i = 0; i < middle; ++i)
      chosen[order[i]] = false;
    QUERN_ASSIGN(Candidate candidate, evaluate(std::move(chosen)));
    if (!candidate.measured.accuracy().isOk()) {
      least = middle;
      continue;
    }
    most = middle;
    best = std::move(candidate);
  }
  return best;
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

/// The value behind a layer that both models have.
std::string Quantizer::resultOf(const Layer &layer) const {
  int activation = findActivation(model, model.index(), layer.node);
  return activation < 0 ? layer.output : model.graph().node(activation).output(0);
}

/// The noise of what each layer gives, on the held-back samples.
Status Quantizer::measureLayers(Candidate &candidate) const {
  std::vector<std::string> values, names;
  std::vector<QuantizedLayer *> rows;
  GraphIndex written = candidate.model.index();
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer &layer = layers[i];
    QuantizedLayer &row = candidate.measured.layers[i];
    std::string value = resultOf(layer), half = value + "_float16";
    if (written.producer(value) < 0 && written.producer(half) < 0)
      continue;
    values.push_back(value);
    names.push_back(written.producer(value) >= 0 ? value : half);
    rows.push_back(&row);
  }
  if (values.empty())
    return Status::ok();
  std::vector<NoiseMeter> meters(values.size());
  QUERN_ASSIGN(LoadedModel before, LoadedModel::load(model, values, settings));
  QUERN_ASSIGN(LoadedModel after, LoadedModel::load(candidate.model, names, settings));
  QUERN_ASSIGN(std::unique_ptr<Runner> first, before.createRunner(settings));
  QUERN_ASSIGN(std::unique_ptr<Runner> second, after.createRunner(settings));
  QUERN_TRY(runAll(*first, samples.heldBack, "measuring layers: sample",
                   [&](size_t i, std::span<const AnyValue> expected) -> Status {
                     QUERN_ASSIGN(std::vector<AnyValue> found,
                                  second->run(std::span<const AnyValue>(samples.heldBack[i])));
                     for (size_t v = 0; v < values.size(); ++v) {
                       QUERN_ASSIGN(Tensor was, expected[v].toTensor());
                       QUERN_ASSIGN(Tensor is, found[v].toTensor());
                       QUERN_ASSIGN(is, convertTensor(is, was.dtype()));
                       meters[v].add(was, is);
                     }
                     return Status::ok();
                   }));
  for (size_t v = 0; v < values.size(); ++v)
    rows[v]->sqnr = meters[v].sqnr();
  return Status::ok();
}

Expected<Quantization> Quantizer::finish(Candidate candidate, int64_t bytesBefore) {
  Quantization &result = candidate.measured;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer &layer = layers[i];
    std::string reason = layer.refusal;
    if (reason.empty() && !candidate.chosen[i])
      reason = "it costs too much error";
    result.layers.push_back({.node = layer.name,
                             .op = layer.op,
                             .quantized = candidate.chosen[i],
                             .reason = std::move(reason),
                             .sqnr = kUnknown,
                             .sensitivity = sensitivities[i]});
  }
  QUERN_TRY(measureLayers(candidate));
  candidate.model.message().set_producer_name("quern quantize");
  candidate.model.message().clear_producer_version();
  QUERN_ASSIGN(result.model, candidate.model.serialize());
  QUERN_ASSIGN(LoadedModel loaded, LoadedModel::load(result.model, settings));
  QUERN_ASSIGN(std::unique_ptr<Runner> after, loaded.createRunner(settings));
  QUERN_TRY(
      measureTimes(*reference, *after, samples.heldBack.front(), plan.options.seconds, result));
  result.bytesBefore = bytesBefore;
  result.bytesAfter = static_cast<int64_t>(result.model.size());
  result.calibrated = static_cast<int64_t>(samples.calibration.size());
  result.heldBack = static_cast<int64_t>(samples.heldBack.size());
  result.measuredOnCalibration = samples.isShared;
  return std::move(result);
}

Expected<Quantization> Quantizer::run(std::span<const Sample> given) {
  if (given.empty())
    return invalidInput("there are no inputs to calibrate and to measure with");
  QUERN_ASSIGN(samples, splitSamples(original.inputs(), given));
  auto bytesBefore = static_cast<int64_t>(model.message().ByteSizeLong());
  QUERN_TRY(prepare());
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled, original.compile(settings.compile));
  QUERN_ASSIGN(reference, compiled->createRunner({.threads = settings.compile.threads,
                                                  .limits = settings.compile.limits}));
  QUERN_ASSIGN(wanted, outputsOf(*reference, samples.heldBack, "running the float model: sample"));
  if (plan.write.mode == Mode::Static)
    QUERN_TRY(chooseVariant());
  QUERN_ASSIGN(Candidate chosen, chooseLayers());
  return finish(std::move(chosen), bytesBefore);
}

//===----------------------------------------------------------------------===//
// The calls
//===----------------------------------------------------------------------===//

/// `source` is a path or bytes.
template <typename Source>
static Expected<Quantization>
quantizeSource(const Source &source, const std::string &name, std::span<const Sample> samples,
               const QuantizeOptions &options, const CompileOptions &compile,
               const InputSizes &sizes) {
  QUERN_ASSIGN(Plan plan, readPlan(options, compile));
  QUERN_ASSIGN(Model original, Model::load(source, sizes, compile.limits));
  auto read = EditableModel::read(source, compile.limits);
  if (!read)
    return read.status().withContext(name);
  RunSettings settings{.compile = compile, .sizes = sizes, .name = name};
  settings.compile.dumpPhasesTo.clear();
  return Quantizer(read.take(), std::move(original), std::move(plan), std::move(settings))
      .run(samples);
}

Expected<Quantization> quern::quantize(const std::string &path,
                                       std::span<const std::vector<AnyValue>> samples,
                                       const QuantizeOptions &options,
                                       const CompileOptions &compile, const InputSizes &sizes) {
  return quantizeSource(path, path, samples, options, compile, sizes);
}

Expected<Quantization> quern::quantize(const ModelBytes &model,
                                       std::span<const std::vector<AnyValue>> samples,
                                       const QuantizeOptions &options,
                                       const CompileOptions &compile, const InputSizes &sizes) {
  return quantizeSource(model, model.name, samples, options, compile, sizes);
}
