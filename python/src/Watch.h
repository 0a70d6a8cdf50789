//===- Watch.h - long work that Python watches, and ends ------------------===//
#pragma once

#include "quern/Progress.h"

#include <nanobind/nanobind.h>

#include <atomic>
#include <exception>
#include <string>
#include <thread>

namespace quern::python {

/// Calls `progress`, unless it is None, with what the work is at, whenever that changes, and
/// lets Python handle Ctrl-C: what either raises ends the work. For work without the GIL in
/// the thread that has made it.
class PythonWatcher : public ProgressWatcher {
public:
  explicit PythonWatcher(nanobind::handle progress);
  bool goOn(std::string_view doing) override;
  /// Raises what has ended the work, if it was Python. With the GIL.
  void rethrow() const;

private:
  nanobind::handle progress;
  std::thread::id owner = std::this_thread::get_id();
  std::string last;
  std::atomic<bool> ended = false;
  std::exception_ptr error;
};

/// The Status or Expected that `work` returns, without the GIL and watched.
template <typename Work> auto watched(nanobind::handle progress, Work &&work) {
  PythonWatcher watcher(progress);
  auto result = [&] {
    nanobind::gil_scoped_release unlocked;
    ProgressScope scope(watcher);
    return work();
  }();
  watcher.rethrow();
  return result;
}

} // namespace quern::python
