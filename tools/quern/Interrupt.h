//===- Interrupt.h - Ctrl-C, and other ends -------------------------------===//
#pragma once

#include "quern/CompiledModel.h"
#include "quern/Progress.h"

#include <span>

namespace quern::cli {

/// From here on Ctrl-C ends the program with exit code 130: at once, unless one
/// of the runs below is on. SIGTERM and SIGHUP kill the program, as ever. Either way
/// nothing temporary stays behind. Signals that are ignored when the program
/// starts, as nohup and shells do for what runs in the background, stay ignored.
/// To be called before there are threads.
void installSignalHandlers();

/// While it lives, the first Ctrl-C only cancels the runs of its runners; the second one
/// ends the program. One at a time.
class Interruptible {
public:
  explicit Interruptible(Runner &runner, Runner *other = nullptr);
  ~Interruptible();
  Interruptible(const Interruptible &) = delete;
  Interruptible &operator=(const Interruptible &) = delete;
};

/// While it lives, the first Ctrl-C ends the work of this thread that can be ended early with what
/// it has come to (quern/Progress.h); the second one ends the program. One at a time.
class EndsEarly : private ProgressWatcher {
public:
  EndsEarly();
  ~EndsEarly() override;
  EndsEarly(const EndsEarly &) = delete;
  EndsEarly &operator=(const EndsEarly &) = delete;

private:
  bool goOn(std::string_view doing) override;

  ProgressScope scope;
};

/// Runs once, interruptibly.
Status runInterruptibly(Runner &runner, std::span<const AnyValue> inputs,
                        std::span<AnyValue> outputs);

} // namespace quern::cli
