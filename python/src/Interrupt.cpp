//===- Interrupt.cpp - Ctrl-C ends a run ----------------------------------===//
//
// Python notes a signal and calls its handlers when its code goes on, which is after the
// run. So a handler in front of Python's own cancels the run, or is noticed by who watches
// a compilation; the caller then lets Python raise KeyboardInterrupt.
//
//===----------------------------------------------------------------------===//
#include "Interrupt.h"

#include <atomic>
#include <csignal>
#include <sys/syscall.h>
#include <unistd.h>

using namespace quern;

static std::atomic<Runner *> interruptible = nullptr;
static std::atomic<bool> hasCome = false;
static struct sigaction pythonsAction;

static void cancelAndGoOn(int signal, siginfo_t *info, void *context) {
  hasCome.store(true, std::memory_order_relaxed);
  if (Runner *runner = interruptible.load(std::memory_order_relaxed))
    runner->cancel();
  if (pythonsAction.sa_flags & SA_SIGINFO)
    pythonsAction.sa_sigaction(signal, info, context);
  else
    pythonsAction.sa_handler(signal);
}

void python::watchInterrupts() {
  struct sigaction current;
  if (sigaction(SIGINT, nullptr, &current) != 0)
    return;
  bool isOurs = (current.sa_flags & SA_SIGINFO) && current.sa_sigaction == cancelAndGoOn;
  bool isHandler = (current.sa_flags & SA_SIGINFO) ||
                   (current.sa_handler != SIG_DFL && current.sa_handler != SIG_IGN);
  if (isOurs || !isHandler)
    return;
  // One in front of ours, as LLVM's while it writes files, calls ours: to call it would go round.
  static bool isKnown = false;
  if (isKnown && current.sa_handler != pythonsAction.sa_handler)
    return;
  isKnown = true;
  pythonsAction = current;
  struct sigaction action = current;
  action.sa_flags |= SA_SIGINFO;
  action.sa_sigaction = cancelAndGoOn;
  sigaction(SIGINT, &action, nullptr);
}

static bool isMainThread() {
  static const pid_t process = getpid();
  thread_local const bool isMain = syscall(SYS_gettid) == process;
  return isMain;
}

bool python::takeInterrupt() {
  return hasCome.load(std::memory_order_relaxed) && isMainThread() &&
         hasCome.exchange(false, std::memory_order_relaxed);
}

python::InterruptScope::InterruptScope(Runner &runner) : isMain(isMainThread()) {
  if (isMain)
    interruptible.store(&runner, std::memory_order_relaxed);
}
python::InterruptScope::~InterruptScope() {
  if (isMain)
    interruptible.store(nullptr, std::memory_order_relaxed);
}
