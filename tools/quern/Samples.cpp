//===- Samples.cpp - many inputs for a model ------------------------------===//
#include "tools/quern/Samples.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;
namespace fs = std::filesystem;

/// Whether a folder is one sample, as ONNX's test data has them.
static bool isTestData(const fs::path &path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) && fs::exists(path / "input_0.pb", ignored);
}

static bool isSample(const fs::path &path) {
  std::string name = path.filename().string();
  bool isFile = name.ends_with(".npz") || name.ends_with(".npy") || name.ends_with(".pb");
  return isFile || isTestData(path);
}

/// What is in `data`, or `data` itself.
static Expected<std::vector<std::string>> findSamples(const std::string &data) {
  std::error_code error;
  if (!fs::is_directory(data, error) || isTestData(data))
    return std::vector<std::string>{data};
  std::vector<std::string> paths;
  fs::directory_iterator entry(data, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error))
    if (isSample(entry->path()))
      paths.push_back(entry->path().string());
  if (error)
    return ioError(fmt::format("cannot read folder '{}': {}", data, error.message()));
  if (paths.empty())
    return invalidInput(fmt::format("folder '{}' has no inputs: no .npz, .npy or .pb file and no "
                                    "folder with input_0.pb",
                                    data));
  std::ranges::sort(paths);
  return paths;
}

Expected<std::vector<std::vector<AnyValue>>>
cli::readSamples(std::span<const PortSignature> ports, const SampleOptions &options,
                 const OutputStyle &style, const Limits &limits, FileGuard &guard) {
  bool isRandom = options.data == "random";
  std::vector<std::string> paths;
  if (!isRandom) {
    QUERN_ASSIGN(paths, findSamples(options.data));
  }
  auto count = static_cast<size_t>(options.count > 0 ? options.count : kRandomSamples);
  if (!isRandom)
    count = options.count > 0 ? std::min(count, paths.size()) : paths.size();
  std::vector<std::vector<AnyValue>> samples;
  OutputStyle quiet = style;
  for (size_t i = 0; i < count; ++i) {
    InputOptions inputs{.given = {}, .cast = options.cast, .seed = options.seed + i * ports.size()};
    if (!isRandom)
      inputs.given.push_back(paths[i]);
    auto values =
        makeInputs(ports, inputs, isRandom ? MissingInputs::Random : MissingInputs::Refuse, quiet,
                   limits, {}, &guard);
    if (!values)
      return isRandom ? values.status() : values.status().withContext("--data '" + paths[i] + "'");
    samples.push_back(values.take());
    quiet.verbosity = -1; // what there is to note is the same of all
  }
  return samples;
}
