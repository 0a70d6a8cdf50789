//===- Progress.h - watching long work, and ending it ---------------------===//
#pragma once

#include "quern/Status.h"

#include <string_view>

namespace quern {

/// Hears what loading, compiling and planning are at.
class ProgressWatcher {
public:
  virtual ~ProgressWatcher() = default;
  /// The work is at `doing`, as in "optimising the graph"; false ends it soon with
  /// StatusCode::Cancelled. Called often, wherever a deadline is looked at, and by all
  /// threads that work, several at once. What it loads, compiles or runs itself has
  /// watchers of its own only: neither this one nor others of the work hear of it.
  virtual bool goOn(std::string_view doing) = 0;
};

/// While it lives, a watcher hears of the work that this thread does, and of what other
/// threads do for it: no call has to pass it on. Scopes nest, and all of them hear.
class ProgressScope {
public:
  explicit ProgressScope(ProgressWatcher &watcher);
  /// This thread works for the one whose current() scope that was; null: for nobody.
  explicit ProgressScope(const ProgressScope *outer);
  ~ProgressScope();
  ProgressScope(const ProgressScope &) = delete;
  ProgressScope &operator=(const ProgressScope &) = delete;

  /// The innermost scope of this thread; null when there is none.
  static const ProgressScope *current();
  /// Tells the watchers of this thread; Cancelled when one of them ends the work.
  static Status check(std::string_view doing);

private:
  ProgressWatcher *watcher;
  const ProgressScope *outer;
  const ProgressScope *before;
};

} // namespace quern
