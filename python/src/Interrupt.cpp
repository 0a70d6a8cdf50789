//===- Interrupt.cpp - signals during runs and compilations ---------------===//
//
// Python notes a signal and calls its handlers when its code goes on, which is after the
// run. So handlers in front of Python's own tell those who watch runs and compilations that
// there is something to handle; and Ctrl-C cancels a run that is in the middle of a long
// step, whereupon the caller lets Python raise KeyboardInterrupt.
//
//===----------------------------------------------------------------------===//
#include "Interrupt.h"

#include <nanobind/nanobind.h>

#include <atomic>
#include <csignal>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nb = nanobind;
using namespace quern;

using Handler = void (*)(int);

static std::atomic<Runner *> interruptible = nullptr;
static std::atomic<bool> hasCome = false;
/// The one function that Python installs for all signals; null as long as it is not known.
static std::atomic<Handler> pythonsHandler = nullptr;

static void noteAndGoOn(int signal, siginfo_t *, void *) {
  hasCome.store(true, std::memory_order_relaxed);
  if (Runner *runner = interruptible.load(std::memory_order_relaxed); runner && signal == SIGINT)
    runner->cancel();
  pythonsHandler.load(std::memory_order_relaxed)(signal);
}

/// Whether Python says that it handles this signal.
static bool asksPython(int signal) {
  nb::object handler = nb::module_::import_("signal").attr("getsignal")(signal);
  return PyCallable_Check(handler.ptr()) != 0;
}

/// Handlers of others stay alone: those in front of ours, as LLVM's while it writes files, call
/// ours.
static bool isPythons(int signal, const struct sigaction &action) {
  if ((action.sa_flags & SA_SIGINFO) || action.sa_handler == SIG_DFL ||
      action.sa_handler == SIG_IGN)
    return false;
  if (Handler known = pythonsHandler.load(std::memory_order_relaxed))
    return action.sa_handler == known;
  if (!asksPython(signal))
    return false;
  pythonsHandler.store(action.sa_handler, std::memory_order_relaxed);
  return true;
}

void python::watchSignals() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action;
    if (sigaction(signal, nullptr, &action) != 0 || !isPythons(signal, action))
      continue;
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = noteAndGoOn;
    sigaction(signal, &action, nullptr);
  }
}

static thread_local bool isMain = syscall(SYS_gettid) == getpid();

bool python::isMainThread() {
  // The thread that forks is the child's only one.
  static const int noted = pthread_atfork(nullptr, nullptr, [] { isMain = true; });
  (void)noted;
  return isMain;
}

bool python::takeSignal() {
  return hasCome.load(std::memory_order_relaxed) && isMainThread() &&
         hasCome.exchange(false, std::memory_order_relaxed);
}

python::InterruptScope::InterruptScope(Runner &runner) : isMain(isMainThread()) {
  if (isMain)
    before = interruptible.exchange(&runner, std::memory_order_relaxed);
}
python::InterruptScope::~InterruptScope() {
  if (isMain)
    interruptible.store(before, std::memory_order_relaxed);
}
