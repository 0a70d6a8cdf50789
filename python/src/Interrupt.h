//===- Interrupt.h - Ctrl-C ends a run ------------------------------------===//
#pragma once

#include "quern/CompiledModel.h"

namespace quern::python {

/// From now on SIGINT cancels the run of the main thread, too, before Python's own handler
/// has its turn. Does nothing where no handler of Python's is installed.
void watchInterrupts();

/// While it lives, SIGINT cancels this runner; of the main thread only.
class InterruptScope {
public:
  explicit InterruptScope(Runner &runner);
  ~InterruptScope();

private:
  bool isMain;
};

} // namespace quern::python
