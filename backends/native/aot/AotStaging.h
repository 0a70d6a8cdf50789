//===- AotStaging.h - output files that appear complete -------------------===//
#pragma once

#include "quern/Status.h"
#include "quern/TemporaryPath.h"

#include <string>
#include <string_view>
#include <sys/types.h>

namespace quern::native {

/// A folder beside an output, for the files on the way to it, or of it when the output is a
/// folder. It goes away with the object, or when a signal ends the process (see
/// TemporaryPath); the output appears with `publish`, or not at all.
class Staging {
public:
  /// Io error when no file can be created at `target`.
  static Expected<Staging> create(const std::string &target);
  /// The same for a folder at `target`.
  static Expected<Staging> createForFolder(const std::string &target);

  /// The path of a file in the folder.
  std::string path(const std::string &name) const { return folder.path() + "/" + name; }
  Status write(const std::string &name, std::string_view bytes) const;
  /// An error of writing a file of the folder as one of the target, which the user knows.
  Status nameTarget(Status status) const;
  /// Moves a file of the folder to the target, in place of what is there and with its
  /// permissions.
  Status publish(const std::string &name) const;
  /// Puts the folder itself at the target, in place of a folder that is there.
  Status publishFolder();

private:
  /// Gives `path` the permissions of what is at the target, if anything is.
  Status keepMode(const std::string &path) const;
  static Expected<Staging> make(const std::string &target, mode_t mode);
  Staging(std::string target, TemporaryPath folder)
      : target(std::move(target)), folder(std::move(folder)) {}
  std::string target;
  TemporaryPath folder;
};

} // namespace quern::native
