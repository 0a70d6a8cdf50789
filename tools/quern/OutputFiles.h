//===- OutputFiles.h - where results go -----------------------------------===//
#pragma once

#include "quern/Executable.h"

#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// The files of all --output options: FILE.npz with all outputs, NAME=FILE.npy
/// with one, or FILE.npy when there is only one.
class OutputFiles {
public:
  /// Checks names and that every file can be written.
  static Expected<OutputFiles> parse(std::span<const PortSignature> ports,
                                     const std::vector<std::string> &options);
  Status write(std::span<const PortSignature> ports, std::span<const Tensor> tensors) const;

private:
  struct Target {
    std::string path;
    /// The output's index; -1 stands for all.
    int64_t port = -1;
  };
  std::vector<Target> targets;
};

} // namespace quern::cli
