//===- OutputFiles.cpp - where results go ---------------------------------===//
#include "tools/quern/OutputFiles.h"

#include "tools/quern/FileIo.h"
#include "tools/quern/Npy.h"
#include "tools/quern/Npz.h"
#include "tools/quern/Ports.h"

#include <fmt/format.h>
#include <optional>

using namespace quern;
using namespace quern::cli;

static Expected<int64_t> findOutput(std::span<const PortSignature> ports, const std::string &name) {
  for (size_t i = 0; i < ports.size(); ++i)
    if (ports[i].name == name)
      return static_cast<int64_t>(i);
  return usageError(
      fmt::format("the model has no output '{}'; its outputs are {}", name, joinNames(ports)));
}

Expected<OutputFiles> OutputFiles::parse(std::span<const PortSignature> ports,
                                         const std::vector<std::string> &options) {
  OutputFiles files;
  for (const std::string &option : options) {
    // Names and paths may contain '=': the longest prefix that is a name counts.
    std::optional<size_t> split;
    for (size_t i = option.find('='); i != std::string::npos; i = option.find('=', i + 1))
      if (findOutput(ports, option.substr(0, i)))
        split = i;
    Target target{split ? option.substr(*split + 1) : option};
    if (split) {
      target.port = findOutput(ports, option.substr(0, *split)).take();
    } else if (option.ends_with(".npy")) {
      if (size_t equals = option.find('='); equals != std::string::npos)
        QUERN_TRY(findOutput(ports, option.substr(0, equals)).status());
      if (ports.size() != 1)
        return usageError(fmt::format("'{}' could be any of the model's {} outputs; write --output "
                                      "NAME={} ({}), or FILE.npz for all",
                                      option, ports.size(), option, joinNames(ports)));
      target.port = 0;
    }
    if (!target.path.ends_with(target.port < 0 ? ".npz" : ".npy"))
      return usageError("--output " + option + ": write FILE.npz for all outputs or NAME=FILE.npy");
    QUERN_TRY(checkWritable(target.path));
    files.targets.push_back(std::move(target));
  }
  return files;
}

Status OutputFiles::write(std::span<const PortSignature> ports,
                          std::span<const Tensor> tensors) const {
  for (const Target &target : targets) {
    QUERN_ASSIGN(AtomicFile file, AtomicFile::create(target.path));
    if (target.port < 0) {
      std::vector<NamedArray> arrays;
      for (size_t i = 0; i < ports.size(); ++i)
        arrays.push_back({ports[i].name, tensors[i]});
      QUERN_TRY(writeNpz(file, arrays).withContext("'" + target.path + "'"));
    } else {
      const Tensor &tensor = tensors[target.port];
      auto array = toNpy(tensor);
      if (!array)
        return array.status().withContext("'" + target.path + "'");
      file.write(array->header);
      file.write(std::string_view(reinterpret_cast<const char *>(array->bytes().data()),
                                  array->bytes().size()));
    }
    QUERN_TRY(file.commit());
  }
  return Status::ok();
}
