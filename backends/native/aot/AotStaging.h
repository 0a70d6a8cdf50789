//===- AotStaging.h - output files that appear complete -------------------===//
#pragma once

#include "quern/Status.h"
#include "quern/TemporaryPath.h"

#include <string>
#include <string_view>

namespace quern::native {

/// A folder beside an output file, for the files on the way to it. It goes away
/// with the object, or when a signal ends the process (see TemporaryPath); the
/// output appears with `publish`, or not at all.
class Staging {
public:
  /// Io error when no file can be created at `target`.
  static Expected<Staging> create(const std::string &target);

  /// The path of a file in the folder.
  std::string path(const std::string &name) const { return folder.path() + "/" + name; }
  Status write(const std::string &name, std::string_view bytes) const;
  /// An error of writing a file of the folder as one of the target, which the user knows.
  Status nameTarget(Status status) const;
  /// Moves a file of the folder to the target, in place of what is there.
  Status publish(const std::string &name) const;

private:
  Staging(std::string target, TemporaryPath folder)
      : target(std::move(target)), folder(std::move(folder)) {}
  std::string target;
  TemporaryPath folder;
};

} // namespace quern::native
