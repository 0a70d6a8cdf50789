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
  /// Makes something new, named `prefix`, a dot and random characters. `make` makes
  /// it and says whether it could. The path is held before it is there: a signal may
  /// come at any time. No path when it could not be made; errno says why.
  static TemporaryPath create(const std::string &prefix,
                              const std::function<bool(const char *)> &make);
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
  std::string name;
  /// Of the table that removeAll reads.
  size_t slot = 0;
};

} // namespace quern
