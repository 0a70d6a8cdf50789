//===- FileGuard.h - no output takes the place of another file ------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace quern {

/// The files that a piece of work reads and those that it writes. They are compared as files,
/// not as paths: by device and inode, links resolved, and by folder and name where there is
/// none yet. The order of the calls does not matter: of two files that collide the second is
/// the error, a usage error that names both. `what` says what a file is: "model".
class FileGuard {
public:
  Status reads(const std::string &what, const std::string &path);
  Status writes(const std::string &what, const std::string &path);
  /// A folder that is written with all that is in it: no other file lies in it.
  Status fills(const std::string &what, const std::string &folder);

private:
  /// A device and an inode: of a file; or of the folder in which one of this name is to be.
  struct Place {
    uint64_t device = 0, inode = 0;
    std::string name;
    bool operator==(const Place &) const = default;
  };
  enum class Use { Read, Write, Fill };
  struct Entry {
    Use use;
    std::string what, path;
    Place place;
    /// Of all folders around it.
    std::vector<Place> folders;
  };
  static Place placeOf(const std::string &path);
  static std::vector<Place> foldersAround(const std::string &path);
  static bool collide(const Entry &one, const Entry &other);
  Status add(Use use, const std::string &what, const std::string &path);

  std::vector<Entry> entries;
};

} // namespace quern
