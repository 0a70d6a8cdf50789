//===- Interrupt.h - signals during runs and compilations -----------------===//
#pragma once

#include "quern/CompiledModel.h"

namespace quern::python {

/// Whether this is the thread in which Python calls the handlers of signals.
bool isMainThread();

/// From now on takeSignal() tells of the signals that Python has handlers for, and SIGINT
/// cancels the run of the main thread, too. To be called again when handlers may have been
/// set since; with the GIL.
void watchSignals();
/// Whether such a signal has come since the last call, of the main thread; its handler is
/// called when Python goes on, or by PyErr_CheckSignals. False in other threads.
bool takeSignal();

/// While it lives, SIGINT cancels this runner; of the main thread only.
class InterruptScope {
public:
  explicit InterruptScope(Runner &runner);
  ~InterruptScope();
  InterruptScope(const InterruptScope &) = delete;
  InterruptScope &operator=(const InterruptScope &) = delete;

private:
  bool isMain;
  /// A handler may run a model while another one's run waits for it.
  Runner *before = nullptr;
};

} // namespace quern::python
