//===- Progress.cpp - watching long work, and ending it -------------------===//
#include "quern/Progress.h"

#include <fmt/format.h>

using namespace quern;

static thread_local const ProgressScope *innermost = nullptr;

ProgressScope::ProgressScope(ProgressWatcher &watcher)
    : watcher(&watcher), outer(innermost), before(innermost) {
  innermost = this;
}

ProgressScope::ProgressScope(const ProgressScope *outer)
    : watcher(nullptr), outer(outer), before(innermost) {
  innermost = this;
}

ProgressScope::~ProgressScope() { innermost = before; }

const ProgressScope *ProgressScope::current() { return innermost; }

Status ProgressScope::check(std::string_view doing) {
  const ProgressScope *first = innermost;
  if (!first)
    return Status::ok();
  // What a watcher does itself is no part of the work that it watches.
  ProgressScope nobody(nullptr);
  for (const ProgressScope *scope = first; scope; scope = scope->outer)
    if (scope->watcher && !scope->watcher->goOn(doing))
      return {StatusCode::Cancelled, fmt::format("cancelled while {}", doing)};
  return Status::ok();
}
