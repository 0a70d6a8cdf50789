//===- OutputFiles.cpp - where results go ---------------------------------===//
#include "tools/quern/OutputFiles.h"

#include "quern/NearestName.h"
#include "quern/OnnxFile.h"
#include "tools/quern/Npy.h"
#include "tools/quern/Npz.h"
#include "tools/quern/Ports.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <optional>

using namespace quern;
using namespace quern::cli;

static Expected<int64_t> findOutput(std::span<const PortSignature> ports, const std::string &name) {
  for (size_t i = 0; i < ports.size(); ++i)
    if (ports[i].name == name)
      return static_cast<int64_t>(i);
  return usageError(fmt::format("the model has no output '{}'; its outputs are {}{}", name,
                                joinNames(ports), suggestName(name, namesOf(ports))));
}

/// NumPy's formats are for tensors.
static Status requireTensor(const PortSignature &port, const std::string &path) {
  if (port.isTensor())
    return Status::ok();
  return usageError(fmt::format("--output {}: output '{}' is no tensor but a {}; write --output "
                                "FOLDER/ or --output {}=FILE.pb",
                                path, port.name, port.describe(), port.name));
}

std::vector<std::string> OutputFiles::Target::files(size_t outputs) const {
  if (isStandardOutput())
    return {};
  if (!isFolder())
    return {path};
  std::vector<std::string> files;
  for (size_t i = 0; i < outputs; ++i)
    files.push_back(fmt::format("{}output_{}.pb", path, i));
  return files;
}

/// Whether outputs can be written there, with what is there now.
Status OutputFiles::Target::checkPlace() const {
  if (isStandardOutput())
    return AtomicFile::standardOutput().status();
  if (!isFolder())
    return checkWritable(path);
  std::error_code ignored;
  std::string folder = path.substr(0, path.find_last_not_of('/') + 1);
  if (folder.empty() || std::filesystem::is_directory(folder, ignored))
    return checkWritable(path + "output_0.pb");
  return checkWritable(folder);
}

Status OutputFiles::Target::check(std::span<const PortSignature> ports) const {
  bool isNumPy = isStandardOutput() || path.ends_with(port < 0 ? ".npz" : ".npy");
  if (!isNumPy && !(port < 0 ? isFolder() : path.ends_with(".pb")))
    return usageError("--output " + path +
                      ": write FILE.npz or FOLDER/ for all outputs, or NAME=FILE.npy; - stands for "
                      "standard output");
  for (size_t i = 0; i < ports.size() && isNumPy; ++i)
    if (port < 0 || static_cast<size_t>(port) == i)
      QUERN_TRY(requireTensor(ports[i], path));
  return checkPlace();
}

Expected<OutputFiles> OutputFiles::parse(std::span<const PortSignature> ports,
                                         const std::vector<std::string> &options,
                                         FileGuard &guard) {
  OutputFiles files;
  for (const std::string &option : options) {
    // Names and paths may contain '=': the longest prefix that is a name counts.
    std::optional<size_t> split;
    for (size_t i = option.find('='); i != std::string::npos; i = option.find('=', i + 1))
      if (findOutput(ports, option.substr(0, i)))
        split = i;
    Target target{split ? option.substr(*split + 1) : option};
    std::error_code ignored;
    if (split) {
      target.port = findOutput(ports, option.substr(0, *split)).take();
    } else if (option == "-") {
      target.port = ports.size() == 1 ? 0 : -1;
    } else if (option.ends_with(".npy") || option.ends_with(".pb")) {
      if (size_t equals = option.find('='); equals != std::string::npos)
        QUERN_TRY(findOutput(ports, option.substr(0, equals)).status());
      if (ports.size() != 1)
        return usageError(fmt::format("'{}' could be any of the model's {} outputs; write --output "
                                      "NAME={} ({}), or FILE.npz for all",
                                      option, ports.size(), option, joinNames(ports)));
      target.port = 0;
    } else if (!option.ends_with(".npz") && std::filesystem::is_directory(option, ignored)) {
      target.path += target.isFolder() ? "" : "/";
    }
    if (target.isStandardOutput() && files.useStandardOutput())
      return usageError("--output -: standard output is given twice");
    QUERN_TRY(target.check(ports));
    for (const std::string &file : target.files(ports.size()))
      QUERN_TRY(guard.writes("output", file));
    files.targets.push_back(std::move(target));
  }
  return files;
}

bool OutputFiles::useStandardOutput() const {
  return std::any_of(targets.begin(), targets.end(),
                     [](const Target &target) { return target.isStandardOutput(); });
}

Expected<AtomicFile> OutputFiles::Target::open() const {
  return isStandardOutput() ? AtomicFile::standardOutput() : AtomicFile::create(path);
}

static Status writeMessage(const std::string &path, const std::string &name,
                           const AnyValue &value) {
  QUERN_ASSIGN(std::string bytes, serializeValue(value, name));
  return writeFile(path, bytes);
}

/// output_0.pb, output_1.pb, ... in the order of the graph's outputs.
Status OutputFiles::Target::writeFolder(std::span<const PortSignature> ports,
                                        std::span<const AnyValue> values) const {
  std::error_code error;
  std::filesystem::create_directory(path.substr(0, path.find_last_not_of('/') + 1), error);
  if (error)
    return ioError(fmt::format("cannot make folder '{}': {}", path, error.message()));
  std::vector<std::string> paths = files(ports.size());
  for (size_t i = 0; i < ports.size(); ++i)
    QUERN_TRY(writeMessage(paths[i], ports[i].name, values[i]));
  return Status::ok();
}

Status OutputFiles::Target::writeAll(std::span<const PortSignature> ports,
                                     std::span<const AnyValue> values) const {
  std::vector<NamedArray> arrays;
  for (size_t i = 0; i < ports.size(); ++i) {
    QUERN_ASSIGN(Tensor tensor, values[i].toTensor());
    arrays.push_back({ports[i].name, std::move(tensor)});
  }
  QUERN_ASSIGN(AtomicFile file, open());
  QUERN_TRY(writeNpz(file, arrays).withContext("'" + path + "'"));
  return file.commit();
}

Status OutputFiles::Target::writeOne(const PortSignature &port, const AnyValue &value) const {
  if (path.ends_with(".pb"))
    return writeMessage(path, port.name, value);
  QUERN_ASSIGN(Tensor tensor, value.toTensor());
  auto array = toNpy(tensor);
  if (!array)
    return array.status().withContext("'" + path + "'");
  QUERN_ASSIGN(AtomicFile file, open());
  file.write(array->header);
  file.write(std::string_view(reinterpret_cast<const char *>(array->bytes().data()),
                              array->bytes().size()));
  return file.commit();
}

Status OutputFiles::write(std::span<const PortSignature> ports,
                          std::span<const AnyValue> values) const {
  for (const Target &target : targets) {
    auto one = static_cast<size_t>(target.port);
    if (target.port >= 0)
      QUERN_TRY(target.writeOne(ports[one], values[one]));
    else if (target.isFolder())
      QUERN_TRY(target.writeFolder(ports, values));
    else
      QUERN_TRY(target.writeAll(ports, values));
  }
  return Status::ok();
}
