//===- InputTensors.cpp - what a model is run on --------------------------===//
#include "tools/quern/InputTensors.h"

#include "quern/Artifact.h"
#include "quern/ConvertTensor.h"
#include "quern/NearestName.h"
#include "quern/OnnxFile.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/Npy.h"
#include "tools/quern/Npz.h"
#include "tools/quern/Ports.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <optional>

using namespace quern;
using namespace quern::cli;
namespace fs = std::filesystem;

namespace {
enum class Filling { None, Random, Zeros };

std::optional<Filling> parseFilling(const std::string &text) {
  if (text == "random")
    return Filling::Random;
  if (text == "zeros")
    return Filling::Zeros;
  return std::nullopt;
}

/// Collects the values of all --input options, port by port.
class InputSet {
public:
  InputSet(std::span<const PortSignature> ports, const InputOptions &options,
           const OutputStyle &style, const Limits &limits, const SymbolSizes &defaults,
           FileGuard *guard)
      : ports(ports), options(options), style(style), limits(limits), values(ports.size()),
        fillings(ports.size()), defaults(defaults), guard(guard) {}

  Status add(const std::string &option);
  Expected<std::vector<AnyValue>> finish(MissingInputs missing);

private:
  Expected<size_t> findPort(const std::string &name) const;
  Status set(size_t port, AnyValue value, const std::string &source);
  Status addFile(const std::string &path);
  Status addFolder(const std::string &path);
  Status addArchive(const std::string &path);
  Status addTable(const std::string &path);
  Expected<AnyValue> readValue(const std::string &path, const PortSignature &port) const;
  Expected<AnyValue> readPicture(const std::string &path, const PortSignature &port) const;
  Status checkAll() const;
  Status noteFile(const std::string &path) const;
  Expected<AnyValue> makeValue(const PortSignature &port, Filling filling, uint64_t seed);
  Tensor::Dims completeDims(const PortSignature &port);

  std::span<const PortSignature> ports;
  const InputOptions &options;
  const OutputStyle &style;
  const Limits &limits;
  std::vector<AnyValue> values;
  std::vector<Filling> fillings;
  /// For the ports that no option names.
  Filling otherFilling = Filling::None;
  /// Sizes of symbols, once something has fixed them.
  SymbolSizes symbols;
  const SymbolSizes &defaults;
  FileGuard *guard;
};
} // namespace

Expected<size_t> InputSet::findPort(const std::string &name) const {
  for (size_t i = 0; i < ports.size(); ++i)
    if (ports[i].name == name)
      return i;
  return invalidInput(fmt::format("the model has no input '{}'{}", name,
                                  ports.empty() ? "; it has none at all"
                                                : "; its inputs are " + joinNames(ports) +
                                                      suggestName(name, namesOf(ports))));
}

Status InputSet::set(size_t port, AnyValue value, const std::string &source) {
  if (values[port].isPresent() || fillings[port] != Filling::None)
    return usageError(
        fmt::format("input '{}' is given twice, again by {}", ports[port].name, source));
  // NumPy lacks some types, bfloat16 for one: their bits come as integers, in ONNX's own test
  // data too.
  DType wanted = ports[port].dtype;
  if (const Tensor *tensor = value.asTensor();
      tensor && wanted != tensor->dtype() && storedAs(wanted) == tensor->dtype()) {
    auto bits = std::make_shared<Tensor>(*tensor);
    value = Tensor::borrow(wanted, bits->dims(), bits->rawData(), bits);
  }
  if (const Tensor *tensor = value.asTensor();
      tensor && options.cast && ports[port].isTensor() && wanted != tensor->dtype()) {
    auto converted = convertTensor(*tensor, wanted, limits);
    if (!converted)
      return converted.status().withContext("input '" + ports[port].name + "'");
    value = converted.take();
  }
  values[port] = std::move(value);
  return Status::ok();
}

Status InputSet::noteFile(const std::string &path) const {
  return guard ? guard->reads("input", path) : Status::ok();
}

/// Whether it is an image, by what it begins with.
static Expected<bool> isImageFile(const std::string &path) {
  constexpr size_t kHead = 32;
  QUERN_ASSIGN(InputFile input, openFile(path));
  std::array<std::byte, kHead> head = {};
  return isImage({head.data(), std::fread(head.data(), 1, kHead, input.file.get())});
}

/// As the options and then the model's metadata say.
Expected<AnyValue> InputSet::readPicture(const std::string &path, const PortSignature &port) const {
  QUERN_ASSIGN(ImageOptions image, parseImageOptions(options.images));
  if (!options.model.empty() && !isLibraryFile(options.model)) {
    QUERN_ASSIGN(ModelFacts facts, inspectModelFile(options.model, limits));
    image = image.orElse(facts.images[port.name]);
  }
  QUERN_ASSIGN(FileBytes file, readFile(path, limits.maxTensorBytes));
  auto input = readImage(file.bytes(), port, image, limits);
  if (!input)
    return input.status().withContext(fmt::format("'{}' for input '{}'", path, port.name));
  if (input->isNumbersGuessed)
    note(style, fmt::format("input '{}' takes pixels from 0 to 1, as nothing says what it wants; "
                            "--image-preset, --image-scale, --image-mean and --image-std do",
                            port.name));
  detail(style, fmt::format("'{}': {}", path, input->description));
  return AnyValue(std::move(input->tensor));
}

/// The value of a file, of a .pb file one of this port's type.
Expected<AnyValue> InputSet::readValue(const std::string &path, const PortSignature &port) const {
  QUERN_TRY(noteFile(path));
  QUERN_TRY(refuseParquet(path));
  if (isTable(path)) {
    QUERN_ASSIGN(std::vector<AnyValue> read, readTable({&port, 1}, path, options.table, limits));
    return std::move(read[0]);
  }
  if (path.ends_with(".pb")) {
    auto value = readValueFile(path, port, limits);
    if (value)
      return value;
    // What is broken is the input, not the model.
    Status status = value.status();
    return status.code() == StatusCode::InvalidModel ? invalidInput(status.message()) : status;
  }
  if (!path.ends_with(".npy")) {
    QUERN_ASSIGN(bool isImage, isImageFile(path));
    if (isImage)
      return readPicture(path, port);
    return usageError(
        "'" + path +
        "': an input file is a .npy, .npz or ONNX .pb file, a table (.csv, .tsv) or an "
        "image (JPEG, PNG, WebP, BMP, TIFF, PNM, JPEG 2000)");
  }
  QUERN_ASSIGN(FileBytes file, readFile(path, limits.maxTensorBytes));
  auto tensor = parseNpy(file.bytes(), file.data, limits);
  if (!tensor)
    return tensor.status().withContext("'" + path + "'");
  return AnyValue(tensor.take());
}

/// input_0.pb, input_1.pb, ... in the order of the graph's inputs.
Status InputSet::addFolder(const std::string &path) {
  size_t found = 0;
  for (size_t i = 0; i < ports.size(); ++i) {
    std::string file = (fs::path(path) / fmt::format("input_{}.pb", i)).string();
    std::error_code ignored;
    if (!fs::exists(file, ignored))
      continue;
    ++found;
    QUERN_ASSIGN(AnyValue value, readValue(file, ports[i]));
    QUERN_TRY(set(i, std::move(value), "'" + file + "'"));
  }
  if (found == 0 && !ports.empty())
    return invalidInput("folder '" + path + "' has no input_0.pb");
  return Status::ok();
}

Status InputSet::addArchive(const std::string &path) {
  QUERN_TRY(noteFile(path));
  auto arrays = readNpz(path, limits);
  if (!arrays)
    return arrays.status().withContext("'" + path + "'");
  // np.savez gives a single array this name.
  if (ports.size() == 1 && arrays->size() == 1 && arrays->front().name == "arr_0")
    return set(0, std::move(arrays->front().tensor), "'" + path + "'");
  // An archive may hold more than this model needs, its wanted results for example.
  std::vector<std::string> unused;
  for (NamedArray &array : *arrays) {
    if (auto port = findPort(array.name))
      QUERN_TRY(set(*port, std::move(array.tensor), "'" + path + "'"));
    else
      unused.push_back(fmt::format("'{}'", array.name));
  }
  if (!unused.empty())
    warn(style, fmt::format("'{}': the model has no inputs for {}{}", path, fmt::join(unused, ", "),
                            ports.empty() ? "" : "; its inputs are " + joinNames(ports)));
  return Status::ok();
}

/// An input for each of the model's.
Status InputSet::addTable(const std::string &path) {
  QUERN_TRY(noteFile(path));
  QUERN_ASSIGN(std::vector<AnyValue> read, readTable(ports, path, options.table, limits));
  for (size_t i = 0; i < ports.size(); ++i)
    QUERN_TRY(set(i, std::move(read[i]), "'" + path + "'"));
  return Status::ok();
}

Status InputSet::addFile(const std::string &path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored))
    return addFolder(path);
  if (path.ends_with(".npz"))
    return addArchive(path);
  if (isTable(path))
    return addTable(path);
  QUERN_TRY(refuseParquet(path));
  if (ports.size() == 1) {
    QUERN_ASSIGN(AnyValue value, readValue(path, ports[0]));
    return set(0, std::move(value), "'" + path + "'");
  }
  QUERN_TRY(openFile(path).status());
  return usageError(fmt::format("'{}' could be any of the model's {} inputs; write --input NAME={}",
                                path, ports.size(), path));
}

Status InputSet::add(const std::string &option) {
  if (auto filling = parseFilling(option)) {
    otherFilling = *filling;
    return Status::ok();
  }
  // Names and paths may contain '=': the longest prefix that is a name counts.
  size_t split = std::string::npos;
  for (size_t i = option.find('='); i != std::string::npos; i = option.find('=', i + 1))
    if (findPort(option.substr(0, i)))
      split = i;
  std::error_code ignored;
  if (split == std::string::npos &&
      (fs::exists(option, ignored) || option.find('=') == std::string::npos))
    return addFile(option);
  if (split == std::string::npos)
    return findPort(option.substr(0, option.find('='))).status();
  QUERN_ASSIGN(size_t port, findPort(option.substr(0, split)));
  std::string value = option.substr(split + 1);
  if (auto filling = parseFilling(value)) {
    fillings[port] = *filling;
    return Status::ok();
  }
  QUERN_ASSIGN(AnyValue read, readValue(value, ports[port]));
  return set(port, std::move(read), "'" + option + "'");
}

/// The dims of a tensor to make for `port`; what nothing fixes is as by default.
Tensor::Dims InputSet::completeDims(const PortSignature &port) {
  Tensor::Dims dims = defaultDims(port);
  if (!port.ranked)
    note(style, fmt::format("input '{}' has no declared shape; taking a scalar (--shape {}=...)",
                            port.name, port.name));
  for (int64_t d = 0; d < port.shape.rank(); ++d) {
    const PortDim &dim = port.shape[d];
    if (dim.isStatic())
      continue;
    if (dim.isUnknown()) {
      note(style, fmt::format("dimension {} of input '{}' is not given; taking 1 (--shape {}=...)",
                              d, port.name, port.name));
      continue;
    }
    auto known = defaults.find(dim.symbolName());
    auto [symbol, isNew] =
        symbols.try_emplace(dim.symbolName(), known != defaults.end() ? known->second : 1);
    if (isNew)
      note(style, fmt::format("dimension {} of input '{}' is not given; taking {} (--dim {}=...)",
                              dim.symbolName(), port.name, symbol->second, dim.symbolName()));
    dims[d] = symbol->second;
  }
  return dims;
}

Expected<AnyValue> InputSet::makeValue(const PortSignature &port, Filling filling, uint64_t seed) {
  if (!port.isTensor())
    return sampleValue(port, filling == Filling::Zeros, seed, limits);
  Tensor::Dims dims = completeDims(port);
  auto tensor = filling == Filling::Zeros ? Tensor::allocate(port.dtype, std::move(dims), limits)
                                          : randomTensor(port.dtype, std::move(dims), seed, limits);
  return tensor ? Expected<AnyValue>(tensor.take()) : tensor.status();
}

/// Names --cast where numbers are of another type.
Status InputSet::checkAll() const {
  Status status = checkInputs(ports, values);
  for (size_t i = 0; !status.isOk() && i < ports.size(); ++i) {
    const Tensor *tensor = values[i].asTensor();
    bool isNumber = tensor && tensor->dtype() != DType::String && ports[i].dtype != DType::String;
    if (isNumber && ports[i].isTensor() && tensor->dtype() != ports[i].dtype)
      return Status(status.code(), status.message() + "; --cast converts numbers to its type");
  }
  return status;
}

Expected<std::vector<AnyValue>> InputSet::finish(MissingInputs missing) {
  for (size_t i = 0; i < ports.size(); ++i)
    if (const Tensor *tensor = values[i].asTensor())
      for (int64_t d = 0; d < std::min(ports[i].shape.rank(), tensor->rank()); ++d)
        if (ports[i].shape[d].isSymbolic())
          symbols.try_emplace(ports[i].shape[d].symbolName(), tensor->dim(d));
  if (otherFilling == Filling::None && missing == MissingInputs::Random)
    otherFilling = Filling::Random;
  for (size_t i = 0; i < ports.size(); ++i) {
    if (values[i].isPresent())
      continue;
    const PortSignature &port = ports[i];
    Filling filling = fillings[i] != Filling::None ? fillings[i] : otherFilling;
    if (filling == Filling::None)
      return invalidInput(
          fmt::format("input '{}' ({}) is not given; use --input {}=FILE.{}, or --input random",
                      port.name, port.describe(), port.name, port.isTensor() ? "npy" : "pb"));
    auto value = makeValue(port, filling, options.seed + i);
    if (!value)
      return value.status().withContext("input '" + port.name + "'");
    values[i] = value.take();
  }
  QUERN_TRY(checkAll());
  return std::move(values);
}

Expected<std::vector<AnyValue>> cli::makeInputs(std::span<const PortSignature> ports,
                                                const InputOptions &options, MissingInputs missing,
                                                const OutputStyle &style, const Limits &limits,
                                                const SymbolSizes &defaults, FileGuard *guard) {
  InputSet set(ports, options, style, limits, defaults, guard);
  for (const std::string &option : options.given)
    QUERN_TRY(set.add(option));
  return set.finish(missing);
}
