//===- Watch.cpp - long work that Python watches, and ends ----------------===//
#include "Watch.h"

#include <cfenv>

namespace nb = nanobind;
using namespace quern;

namespace {
/// Python computes as ever, though it is called in the middle of a run that flushes subnormals.
class DefaultFloats {
public:
  DefaultFloats() {
    std::fegetenv(&before);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloats() { std::fesetenv(&before); }
  DefaultFloats(const DefaultFloats &) = delete;
  DefaultFloats &operator=(const DefaultFloats &) = delete;

private:
  std::fenv_t before;
};
} // namespace

bool python::PythonWatcher::goOn(std::string_view doing) {
  if (ended.load(std::memory_order_relaxed))
    return false;
  if (std::this_thread::get_id() != owner)
    return true;
  bool isNews = !progress.is_none() && doing != last;
  if (!takeSignal() && !isNews)
    return true;
  last = doing;
  DefaultFloats plain;
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

bool python::RunWatcher::goOn(std::string_view doing) {
  if (doing != "running" || PythonWatcher::goOn(doing))
    return true;
  // Who looks at nothing but this, in the middle of a step, ends too.
  runner.cancel();
  return false;
}
