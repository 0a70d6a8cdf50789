//===- Cancellation.h - a request that runs end ---------------------------===//
#pragma once

#include "quern/CompiledModel.h"

#include <nanobind/nanobind.h>

#include <vector>

namespace quern::python {

/// Ends the runs that were given it, in whatever threads, and refuses others as long as it
/// stands. All of it is called with the GIL held.
class Cancellation {
public:
  bool isAsked() const { return asked; }
  void ask() {
    asked = true;
    for (Runner *runner : running)
      runner->cancel();
  }
  void withdraw() { asked = false; }

  /// A run that the request ends; null: none does.
  class Run {
  public:
    Run(Cancellation *cancellation, Runner &runner) : cancellation(cancellation), runner(&runner) {
      if (cancellation)
        cancellation->running.push_back(&runner);
    }
    ~Run() {
      if (cancellation)
        std::erase(cancellation->running, runner);
    }
    Run(const Run &) = delete;
    Run &operator=(const Run &) = delete;

  private:
    Cancellation *cancellation;
    Runner *runner;
  };

private:
  bool asked = false;
  std::vector<Runner *> running;
};

} // namespace quern::python
