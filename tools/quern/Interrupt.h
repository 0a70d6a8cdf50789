//===- Interrupt.h - Ctrl-C, and other ends -------------------------------===//
#pragma once

#include <atomic>

namespace quern {
class Session;
}

namespace quern::cli {

/// From here on Ctrl-C ends the program with exit code 130: at once, unless an
/// InterruptibleRun lives. SIGTERM and SIGHUP kill the program, as ever. Either way
/// nothing temporary stays behind. Signals that are ignored when the program
/// starts, as nohup and shells do for what runs in the background, stay ignored.
/// To be called before there are threads.
void installSignalHandlers();

/// While it lives, the first Ctrl-C only asks the run to stop: it sets the flag
/// and cancels the session, if there is one. The second one ends the program.
class InterruptibleRun {
public:
  explicit InterruptibleRun(Session *session = nullptr);
  ~InterruptibleRun();
  InterruptibleRun(const InterruptibleRun &) = delete;
  InterruptibleRun &operator=(const InterruptibleRun &) = delete;

  static const std::atomic<bool> &flag();
};

} // namespace quern::cli
