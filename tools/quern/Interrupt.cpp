//===- Interrupt.cpp - Ctrl-C, and other ends -----------------------------===//
#include "tools/quern/Interrupt.h"

#include "quern/TemporaryPath.h"

#include <atomic>
#include <csignal>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

static std::atomic<bool> interrupted = false, endsEarly = false;
static std::atomic<Runner *> activeRunner = nullptr, otherRunner = nullptr;

static void onInterrupt(int) {
  Runner *runner = activeRunner;
  if ((!runner && !endsEarly) || interrupted.exchange(true)) {
    constexpr char kMessage[] = "quern: interrupted\n";
    (void)!write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
    TemporaryPath::removeAll();
    _exit(static_cast<int>(StatusCode::Cancelled));
  }
  if (runner)
    runner->cancel();
  if (Runner *other = otherRunner)
    other->cancel();
}

/// Dies of the signal, as without this handler.
static void onTermination(int signal) {
  TemporaryPath::removeAll();
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(signal, &action, nullptr);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, signal);
  pthread_sigmask(SIG_UNBLOCK, &mask, nullptr);
  raise(signal);
}

static void install(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  sigaction(signal, nullptr, &action);
  if (action.sa_handler == SIG_IGN) {
    // LLVM installs handlers of its own while it writes files, and does not ask.
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, signal);
    pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    return;
  }
  action = {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

void cli::installSignalHandlers() {
  install(SIGINT, onInterrupt);
  install(SIGTERM, onTermination);
  install(SIGHUP, onTermination);
  // A file that becomes larger than the user's limit is an error of the write.
  signal(SIGXFSZ, SIG_IGN);
}

Interruptible::Interruptible(Runner &runner, Runner *other) {
  otherRunner = other;
  activeRunner = &runner;
}

Interruptible::~Interruptible() {
  activeRunner = nullptr;
  otherRunner = nullptr;
}

EndsEarly::EndsEarly() : scope(*this) { endsEarly = true; }
EndsEarly::~EndsEarly() { endsEarly = false; }
bool EndsEarly::goOn(std::string_view) { return !interrupted; }

Status cli::runInterruptibly(Runner &runner, std::span<const AnyValue> inputs,
                             std::span<AnyValue> outputs) {
  Interruptible active(runner);
  return runner.run(inputs, outputs);
}
