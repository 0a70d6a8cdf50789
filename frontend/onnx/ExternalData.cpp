//===- ExternalData.cpp - weights in files beside the model ---------------===//
#include "frontend/onnx/ExternalData.h"

#include "frontend/onnx/LocalFunctions.h"
#include "frontend/onnx/OnnxProto.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <vector>

using namespace quern;
using namespace quern::onnx;

static Expected<int64_t> parseNumber(const std::string &key, const std::string &text) {
  int64_t number = -1;
  const char *end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number < 0)
    return invalidModel("external data: " + key + " '" + text + "' is no byte count");
  return number;
}

Expected<ExternalLocation> quern::onnx::parseExternalLocation(const proto::TensorProto &tensor) {
  ExternalLocation location;
  for (const proto::StringStringEntryProto &entry : tensor.external_data()) {
    if (entry.key() == "location") {
      location.file = entry.value();
    } else if (entry.key() == "offset") {
      QUERN_ASSIGN(location.offset, parseNumber("offset", entry.value()));
    } else if (entry.key() == "length") {
      QUERN_ASSIGN(location.length, parseNumber("length", entry.value()));
    }
  }
  if (location.file.empty())
    return invalidModel("external data: no location");
  return location;
}

/// The path's components; refuses whatever could lead out of the directory.
static Expected<std::vector<std::string>> componentsOf(const std::string &file) {
  if (file.find('\0') != std::string::npos)
    return invalidModel("the location contains a NUL byte");
  if (file.front() == '/')
    return invalidModel("the location is an absolute path");
  std::vector<std::string> components;
  for (size_t begin = 0; begin <= file.size();) {
    size_t end = std::min(file.find('/', begin), file.size());
    std::string component = file.substr(begin, end - begin);
    if (component == "..")
      return invalidModel("the location contains '..'");
    if (!component.empty() && component != ".")
      components.push_back(std::move(component));
    begin = end + 1;
  }
  if (components.empty())
    return invalidModel("the location names no file");
  return components;
}

static Status openFailure() {
  // O_NOFOLLOW gives ELOOP, with O_DIRECTORY ENOTDIR, on a symbolic link.
  if (errno == ELOOP || errno == ENOTDIR)
    return invalidModel("the location leads through a symbolic link or a file");
  return ioError(fmt::format("cannot open: {}", std::strerror(errno)));
}

/// Opens the file component by component, so that no link is followed even when
/// somebody exchanges directories meanwhile.
static Expected<FileDescriptor> openBeneath(const std::string &directory,
                                            const std::vector<std::string> &components) {
  FileDescriptor at(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.isOpen())
    return ioError("cannot open the directory " + directory + ": " + std::strerror(errno));
  for (size_t i = 0; i < components.size(); ++i) {
    int kind = i + 1 < components.size() ? O_DIRECTORY : O_NONBLOCK;
    FileDescriptor next(
        ::openat(at.get(), components[i].c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | kind));
    if (!next.isOpen())
      return openFailure();
    at = std::move(next);
  }
  return at;
}

static Expected<std::shared_ptr<const MappedFile>> mapFile(const std::string &directory,
                                                           const std::string &file) {
  QUERN_ASSIGN(std::vector<std::string> components, componentsOf(file));
  QUERN_ASSIGN(FileDescriptor descriptor, openBeneath(directory, components));
  struct stat info;
  if (::fstat(descriptor.get(), &info) != 0)
    return ioError(fmt::format("cannot stat: {}", std::strerror(errno)));
  if (!S_ISREG(info.st_mode))
    return invalidModel("not a regular file");
  if (info.st_nlink != 1)
    return invalidModel(fmt::format(
        "the file has {} hard links; it may belong to another directory", info.st_nlink));
  return MappedFile::map(descriptor, info.st_size);
}

Expected<std::shared_ptr<const MappedFile>> ExternalFiles::map(const std::string &file) {
  auto known = mapped.find(file);
  if (known != mapped.end())
    return known->second;
  auto opened = directory.empty() ? Expected<std::shared_ptr<const MappedFile>>(invalidModel(
                                        "a model in memory has no directory to look in"))
                                  : mapFile(directory, file);
  if (!opened)
    return opened.status().withContext("external data '" + file + "'");
  return mapped[file] = opened.take();
}

std::string quern::onnx::directoryOf(const std::string &modelPath) {
  size_t slash = modelPath.rfind('/');
  return slash == std::string::npos ? "." : modelPath.substr(0, slash + 1);
}

namespace {
/// Collects the locations of all tensors with external data. Reading a model has bounded
/// how deep its graphs are nested.
class LocationCollector {
public:
  void visit(const proto::ModelProto &model) {
    visit(model.graph());
    for (const proto::FunctionProto &function : model.functions()) {
      visitNodes(function.node());
      if (auto defaults = defaultAttributes(function))
        visitAll(*defaults);
    }
  }
  std::set<std::string> locations;

private:
  void visit(const proto::TensorProto &tensor) {
    for (const proto::StringStringEntryProto &entry : tensor.external_data())
      if (entry.key() == "location" && !entry.value().empty())
        locations.insert(entry.value());
  }
  void visit(const proto::SparseTensorProto &tensor) {
    visit(tensor.values());
    visit(tensor.indices());
  }
  template <typename List> void visitAll(const List &list) {
    for (const auto &each : list)
      visit(each);
  }
  void visit(const proto::AttributeProto &attribute) {
    visit(attribute.t());
    visit(attribute.sparse_tensor());
    visitAll(attribute.tensors());
    visitAll(attribute.sparse_tensors());
    if (attribute.has_g())
      visit(attribute.g());
    visitAll(attribute.graphs());
  }
  template <typename Nodes> void visitNodes(const Nodes &nodes) {
    for (const proto::NodeProto &node : nodes)
      visitAll(node.attribute());
  }
  void visit(const proto::GraphProto &graph) {
    visitAll(graph.initializer());
    visitAll(graph.sparse_initializer());
    visitNodes(graph.node());
  }
};
} // namespace

std::vector<std::string> quern::onnx::externalFilesOf(const proto::ModelProto &model,
                                                      const std::string &directory) {
  LocationCollector collector;
  collector.visit(model);
  std::vector<std::string> files;
  for (const std::string &location : collector.locations)
    files.push_back(directory.ends_with('/') ? directory + location : directory + "/" + location);
  return files;
}

Expected<std::span<const std::byte>> quern::onnx::externalBytes(const MappedFile &file,
                                                                const ExternalLocation &location) {
  int64_t size = static_cast<int64_t>(file.bytes().size());
  int64_t length = location.length < 0 ? size - location.offset : location.length;
  if (location.offset > size || length > size - location.offset)
    return invalidModel(
        fmt::format("external data '{}': {} bytes at offset {} do not lie in the file of {} bytes",
                    location.file, length, location.offset, size));
  return file.bytes().subspan(static_cast<size_t>(location.offset), static_cast<size_t>(length));
}
