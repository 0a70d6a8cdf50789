//===- OncePerKey.h - values that threads make once for each key ----------===//
//
// A thread that wants values which another one is making waits for these and for nothing
// else; what is there is had without waiting.
//
//     while (true) {
//       Values::Undertaking mine(values);
//       if (values.undertake(keys, mine))
//         return what values.find(key) has;
//       QUERN_TRY(mine.keys().empty() ? values.waitFor(keys, ...) : make(mine));
//     }
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Deadline.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace quern {

template <typename Value> class OncePerKey {
public:
  /// Keys that a thread has undertaken to make the values of. Others may undertake those that
  /// it has not provided when it ends, for an error.
  class Undertaking {
  public:
    explicit Undertaking(OncePerKey &values) : values(values) {}
    ~Undertaking() {
      if (!mine.empty())
        values.giveUp(mine);
    }
    Undertaking(const Undertaking &) = delete;
    Undertaking &operator=(const Undertaking &) = delete;

    const std::set<std::string> &keys() const { return mine; }

  private:
    friend OncePerKey;
    OncePerKey &values;
    std::set<std::string> mine;
  };

  /// The value, which stays where it is; null when there is none.
  const Value *find(const std::string &key) const {
    std::lock_guard lock(mutex);
    auto at = values.find(key);
    return at == values.end() ? nullptr : at->second.get();
  }

  /// Whether there are values for all keys. Otherwise `mine` has those from now on that no
  /// thread is making.
  bool undertake(std::span<const std::string> keys, Undertaking &mine) {
    std::lock_guard lock(mutex);
    bool haveAll = true;
    for (const std::string &key : keys) {
      auto [at, isNew] = values.try_emplace(key);
      if (isNew)
        mine.mine.insert(key);
      haveAll &= at->second != nullptr;
    }
    return haveAll;
  }

  /// Of a key that the calling thread, or one that works for it, has undertaken. What has been
  /// provided stays.
  const Value &provide(const std::string &key, Value value) {
    auto made = std::make_unique<const Value>(std::move(value));
    std::lock_guard lock(mutex);
    std::unique_ptr<const Value> &place = values[key];
    if (!place)
      place = std::move(made);
    changed.notify_all();
    return *place;
  }

  /// Until no thread is making any of these, whether they have become something or not.
  Status waitFor(std::span<const std::string> keys, const Deadline &deadline,
                 std::string_view doing) {
    constexpr std::chrono::milliseconds kBetweenLooks{20};
    std::unique_lock lock(mutex);
    auto isBeingMade = [&](const std::string &key) {
      auto at = values.find(key);
      return at != values.end() && !at->second;
    };
    while (std::any_of(keys.begin(), keys.end(), isBeingMade)) {
      changed.wait_for(lock, kBetweenLooks);
      lock.unlock();
      QUERN_TRY(deadline.check(doing));
      lock.lock();
    }
    return Status::ok();
  }

  /// With those that are being made.
  size_t size() const {
    std::lock_guard lock(mutex);
    return values.size();
  }

private:
  void giveUp(const std::set<std::string> &keys) {
    std::lock_guard lock(mutex);
    for (const std::string &key : keys)
      if (auto at = values.find(key); !at->second)
        values.erase(at);
    changed.notify_all();
  }

  mutable std::mutex mutex;
  std::condition_variable changed;
  /// Null while a thread makes the value.
  std::unordered_map<std::string, std::unique_ptr<const Value>> values;
};

} // namespace quern
