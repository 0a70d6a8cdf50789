//===- TemporaryPath.h - files that must not outlive the process ----------===//
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace quern {

/// A file, or a folder of files, that goes away with this object; or with
/// `removeAll`, when a signal ends the process and no destructor runs.
class TemporaryPath {
public:
  /// No path.
  TemporaryPath() = default;
  /// Takes over what is at `path`.
  explicit TemporaryPath(std::string path);
  /// Makes something new in the folder of `target`, named ".quern-" and random
  /// characters, and locks it while this object has it. `make` makes it and says
  /// whether it could. The path is held before it is there: a signal may come at any
  /// time. No path when it could not be made; errno says why.
  static TemporaryPath create(const std::string &target,
                              const std::function<bool(const char *)> &make);
  /// Removes what `create` of this user's processes has left in the folder of `target`
  /// because they were killed. What is locked is in use.
  static void removeAbandoned(const std::string &target);
  ~TemporaryPath();
  TemporaryPath(TemporaryPath &&other) noexcept;
  TemporaryPath &operator=(TemporaryPath &&) = delete;

  const std::string &path() const { return name; }
  /// Leaves alone what is at the path, if there still is something.
  void release();

  /// Removes what all objects hold, as a signal handler may: for handlers that end
  /// the process. Sees the oldest 64 objects alive.
  static void removeAll();

private:
  bool lock();
  std::string name;
  /// Of what is at the path, with a lock on it; -1: none.
  int lockFd = -1;
  /// Of the table that removeAll reads.
  size_t slot = 0;
};

} // namespace quern
