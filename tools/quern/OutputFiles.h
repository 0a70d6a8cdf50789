//===- OutputFiles.h - where results go -----------------------------------===//
#pragma once

#include "quern/FileGuard.h"
#include "quern/PortSignature.h"
#include "tools/quern/FileIo.h"

#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// The files of all --output options: FILE.npz with all outputs, which are tensors then,
/// FOLDER/ for a .pb file of each; NAME=FILE.npy or NAME=FILE.pb with one, or the file
/// alone when there is only one. The file "-" is standard output: a .npy file of one output, a
/// .npz file of several.
class OutputFiles {
public:
  /// Checks names, and that every file can be written and is none that `guard` knows.
  static Expected<OutputFiles> parse(std::span<const PortSignature> ports,
                                     const std::vector<std::string> &options, FileGuard &guard);
  Status write(std::span<const PortSignature> ports, std::span<const AnyValue> values) const;
  bool useStandardOutput() const;

private:
  struct Target {
    std::string path;
    /// The output's index; -1 stands for all.
    int64_t port = -1;
    bool isFolder() const { return path.ends_with('/'); }
    bool isStandardOutput() const { return path == "-"; }
    Expected<AtomicFile> open() const;
    Status check(std::span<const PortSignature> ports) const;
    Status checkPlace() const;
    /// The files for that many outputs.
    std::vector<std::string> files(size_t outputs) const;
    Status writeFolder(std::span<const PortSignature> ports,
                       std::span<const AnyValue> values) const;
    Status writeAll(std::span<const PortSignature> ports, std::span<const AnyValue> values) const;
    Status writeOne(const PortSignature &port, const AnyValue &value) const;
  };
  std::vector<Target> targets;
};

} // namespace quern::cli
