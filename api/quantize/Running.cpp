//===- Running.cpp - models that are run to look into them ----------------===//
#include "api/quantize/Running.h"

#include "quern/Progress.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::quantization;

Expected<LoadedModel> LoadedModel::load(std::string bytes, const RunSettings &settings) {
  auto owner = std::make_shared<const std::string>(std::move(bytes));
  QUERN_ASSIGN(Model model,
               Model::load(ModelBytes{std::as_bytes(std::span(*owner)), settings.name, owner},
                           settings.sizes, settings.compile.limits));
  return LoadedModel(std::move(model));
}

Expected<LoadedModel> LoadedModel::load(const EditableModel &model, const RunSettings &settings) {
  QUERN_ASSIGN(std::string bytes, model.serialize());
  return load(std::move(bytes), settings);
}

Expected<LoadedModel> LoadedModel::load(const EditableModel &model,
                                        const std::vector<std::string> &outputs,
                                        const RunSettings &settings) {
  QUERN_ASSIGN(std::string bytes, model.serializeWithOutputs(outputs));
  return load(std::move(bytes), settings);
}

Expected<std::unique_ptr<Runner>> LoadedModel::createRunner(const RunSettings &settings) const {
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled, model.compile(settings.compile));
  return compiled->createRunner(
      {.threads = settings.compile.threads, .limits = settings.compile.limits});
}

Status quantization::runAll(Runner &runner, std::span<const Sample> samples,
                            const std::string &doing,
                            const std::function<Status(size_t, std::span<const AnyValue>)> &see) {
  for (size_t i = 0; i < samples.size(); ++i) {
    QUERN_TRY(ProgressScope::check(fmt::format("{} {} of {}", doing, i + 1, samples.size())));
    QUERN_ASSIGN(std::vector<AnyValue> outputs, runner.run(std::span<const AnyValue>(samples[i])));
    QUERN_TRY(see(i, outputs));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Samples
//===----------------------------------------------------------------------===//

/// The size of the first dimension of a sample, where all inputs are tensors that have one symbol
/// there and nowhere else; 1 otherwise.
static int64_t batchOf(std::span<const PortSignature> ports, const Sample &sample) {
  std::string symbol;
  for (size_t i = 0; i < ports.size(); ++i) {
    const Tensor *tensor = sample[i].asTensor();
    if (!tensor || !ports[i].isTensor() || !ports[i].ranked || ports[i].shape.rank() == 0 ||
        tensor->rank() == 0 || tensor->dtype() == DType::String || !ports[i].shape[0].isSymbolic())
      return 1;
    if (i > 0 && ports[i].shape[0].symbolName() != symbol)
      return 1;
    symbol = ports[i].shape[0].symbolName();
    for (int64_t d = 1; d < ports[i].shape.rank(); ++d)
      if (ports[i].shape[d].isSymbolic() && ports[i].shape[d].symbolName() == symbol)
        return 1;
  }
  return ports.empty() ? 1 : sample.front().asTensor()->dim(0);
}

/// The rows [begin, end) of all tensors.
static Expected<Sample> rowsOf(const Sample &sample, int64_t begin, int64_t end) {
  Sample rows;
  for (const AnyValue &value : sample) {
    const Tensor &tensor = *value.asTensor();
    Tensor::Dims dims = tensor.dims();
    dims[0] = end - begin;
    QUERN_ASSIGN(Tensor part, Tensor::allocate(tensor.dtype(), dims));
    int64_t rowBytes = tensor.numBytes() / tensor.dim(0);
    std::copy_n(static_cast<const std::byte *>(tensor.rawData()) + begin * rowBytes,
                part.numBytes(), static_cast<std::byte *>(part.mutableRawData()));
    rows.emplace_back(std::move(part));
  }
  return rows;
}

Expected<Split> quantization::splitSamples(std::span<const PortSignature> ports,
                                           std::span<const Sample> samples) {
  constexpr size_t kEnough = 8, kEvery = 4;
  std::vector<Sample> parts;
  for (const Sample &sample : samples) {
    if (Status status = checkInputs(ports, sample); !status.isOk())
      return status;
    int64_t batch = samples.size() < kEnough ? batchOf(ports, sample) : 1;
    int64_t size = std::max<int64_t>((batch + int64_t{kEnough} - 1) / int64_t{kEnough}, 1);
    if (batch <= 1) {
      parts.push_back(sample);
      continue;
    }
    for (int64_t begin = 0; begin < batch; begin += size) {
      QUERN_ASSIGN(Sample rows, rowsOf(sample, begin, std::min(batch, begin + size)));
      parts.push_back(std::move(rows));
    }
  }
  Split split;
  split.isShared = parts.size() == 1;
  for (size_t i = 0; i < parts.size(); ++i) {
    bool isHeldBack = split.isShared ||
                      (parts.size() < kEvery ? i + 1 == parts.size() : i % kEvery == kEvery - 1);
    if (isHeldBack)
      split.heldBack.push_back(parts[i]);
    if (!isHeldBack || split.isShared)
      split.calibration.push_back(parts[i]);
  }
  return split;
}
