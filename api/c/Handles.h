//===- Handles.h - what C programs hold -----------------------------------===//
//
// A handle is no address: it is the number of a slot in a table and how often the slot
// has been used before, so that one that was released, or was never any, is found out
// without touching freed memory. Looking one up takes no lock.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>

namespace quern::c {

enum class HandleKind : uint8_t { None, Model, Executable, Session, Value, Text };

/// A handle for `object`; null when there are too many. May throw std::bad_alloc.
void *makeHandle(HandleKind kind, void *object);
/// The object of a handle of this kind; null when there is none. For signal handlers, too.
void *findObject(HandleKind kind, const void *handle);
/// As findObject; the handle has none from now on.
void *takeObject(HandleKind kind, const void *handle);

} // namespace quern::c
