//===- Interrupt.h - Ctrl-C -----------------------------------------------===//
#pragma once

#include <atomic>

namespace quern {
class Session;
}

namespace quern::cli {

/// From here on Ctrl-C ends the program with exit code 130: at once, unless an
/// InterruptibleRun lives.
void installInterruptHandler();

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
