//===- Errors.h - from a Status to a Python exception ---------------------===//
#pragma once

#include "quern/Status.h"

#include <nanobind/nanobind.h>

namespace quern::python {

/// The type of a value, for messages.
std::string typeName(nanobind::handle value);

/// From here on what C++ throws in this module is a QuernError too.
void translateExceptions();
/// Sets the error of Python's for what is being thrown; in a catch clause.
void restoreError() noexcept;

/// Raises the exception of quern.errors that belongs to the code.
[[noreturn]] void raise(const Status &status);

inline void check(const Status &status) {
  if (!status.isOk())
    raise(status);
}

template <typename T> T valueOf(Expected<T> expected) {
  check(expected.status());
  return expected.take();
}

} // namespace quern::python
