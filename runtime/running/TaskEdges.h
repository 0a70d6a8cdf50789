//===- TaskEdges.h - what ThreadSanitizer cannot see of oneTBB ------------===//
//
// Tasks start after what their caller did, and the caller goes on after their end.
// oneTBB sees to it, in a library that is not instrumented; these calls show it to
// ThreadSanitizer, and are nothing in other builds.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <atomic>
#include <cstdint>

namespace quern {

#if __has_feature(thread_sanitizer)
// In static memory, which needs no handing over itself.
inline std::atomic<int64_t> begunTasks, endedTasks;
inline void beginTasks() { begunTasks.fetch_add(1, std::memory_order_release); }
inline void enterTask() { (void)begunTasks.load(std::memory_order_acquire); }
inline void leaveTask() { endedTasks.fetch_add(1, std::memory_order_release); }
inline void endTasks() { (void)endedTasks.load(std::memory_order_acquire); }
#else
inline void beginTasks() {}
inline void enterTask() {}
inline void leaveTask() {}
inline void endTasks() {}
#endif

} // namespace quern
