//===- Watch.cpp - long work that Python watches, and ends ----------------===//
#include "Watch.h"

#include "Interrupt.h"

namespace nb = nanobind;
using namespace quern;

python::PythonWatcher::PythonWatcher(nb::handle progress) : progress(progress) {
  watchInterrupts();
}

bool python::PythonWatcher::goOn(std::string_view doing) {
  if (ended.load(std::memory_order_relaxed))
    return false;
  if (std::this_thread::get_id() != owner)
    return true;
  bool isNews = !progress.is_none() && doing != last;
  if (!takeInterrupt() && !isNews)
    return true;
  last = doing;
  nb::gil_scoped_acquire locked;
  try {
    if (PyErr_CheckSignals() < 0)
      throw nb::python_error();
    if (isNews)
      progress(nb::str(last.data(), last.size()));
  } catch (...) {
    error = std::current_exception();
    ended.store(true, std::memory_order_relaxed);
  }
  return !ended.load(std::memory_order_relaxed);
}

void python::PythonWatcher::rethrow() const {
  if (error)
    std::rethrow_exception(error);
}
