//===- Interrupt.h - Ctrl-C ends a run ------------------------------------===//
#pragma once

#include "quern/CompiledModel.h"

namespace quern::python {

/// From now on SIGINT cancels the run of the main thread, too, before Python's own handler
/// has its turn. Does nothing where no handler of Python's is installed.
void watchInterrupts();
/// Whether SIGINT has come since the last call, of the main thread; its handler of Python's
/// is called when Python goes on, or by PyErr_CheckSignals. False in other threads.
bool takeInterrupt();

/// While it lives, SIGINT cancels this runner; of the main thread only.
class InterruptScope {
public:
  explicit InterruptScope(Runner &runner);
  ~InterruptScope();

private:
  bool isMain;
};

} // namespace quern::python
