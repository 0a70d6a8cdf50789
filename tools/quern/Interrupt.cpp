//===- Interrupt.cpp - Ctrl-C ---------------------------------------------===//
#include "tools/quern/Interrupt.h"

#include "quern/Session.h"

#include <csignal>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

static std::atomic<bool> interrupted = false;
static std::atomic<bool> runActive = false;
static std::atomic<Session *> activeSession = nullptr;

static void onInterrupt(int) {
  if (!runActive || interrupted.exchange(true)) {
    constexpr char kMessage[] = "quern: interrupted\n";
    (void)!write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
    _exit(static_cast<int>(StatusCode::Cancelled));
  }
  if (Session *session = activeSession)
    session->cancel();
}

void cli::installInterruptHandler() {
  struct sigaction action = {};
  action.sa_handler = onInterrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

InterruptibleRun::InterruptibleRun(Session *session) {
  activeSession = session;
  runActive = true;
}

InterruptibleRun::~InterruptibleRun() {
  runActive = false;
  activeSession = nullptr;
}

const std::atomic<bool> &InterruptibleRun::flag() { return interrupted; }
