//===- Watch.h - long work that Python watches, and ends ------------------===//
#pragma once

#include "Interrupt.h"
#include "quern/Progress.h"

#include <nanobind/nanobind.h>

#include <atomic>
#include <exception>
#include <string>
#include <thread>

namespace quern::python {

/// Calls `progress`, unless it is None, with what the work is at, whenever that changes, and
/// lets Python handle signals: what either raises ends the work. For work without the GIL in
/// the thread that has made it. `progress` is the caller's to keep.
class PythonWatcher : public ProgressWatcher {
public:
  explicit PythonWatcher(nanobind::handle progress) : progress(progress) {}
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

/// Of a run: between its steps Python handles signals. Not while it plans: a handler that runs
/// the same model would wait for what this run holds.
class RunWatcher : public PythonWatcher {
public:
  explicit RunWatcher(Runner &runner) : PythonWatcher(Py_None), runner(runner) {}
  bool goOn(std::string_view doing) override;

private:
  Runner &runner;
};

/// The Status or Expected that `work` returns, without the GIL and watched.
template <typename Work> auto watched(nanobind::handle progress, Work &&work) {
  watchSignals();
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
