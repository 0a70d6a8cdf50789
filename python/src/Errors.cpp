//===- Errors.cpp - from a Status to a Python exception -------------------===//
#include "Errors.h"

#include <nanobind/stl/string.h>

#include <new>

namespace nb = nanobind;
using namespace quern;

std::string python::typeName(nb::handle value) {
  return nb::cast<std::string>(
      nb::handle(reinterpret_cast<PyObject *>(Py_TYPE(value.ptr()))).attr("__name__"));
}

static void setError(const Status &status) {
  nb::object message = nb::steal(
      PyUnicode_DecodeUTF8(status.message().data(),
                           static_cast<Py_ssize_t>(status.message().size()), "backslashreplace"));
  nb::object error = nb::module_::import_("quern.errors")
                         .attr("error_of")(static_cast<int>(status.code()), message);
  PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error.ptr())), error.ptr());
}

void python::raise(const Status &status) {
  setError(status);
  throw nb::python_error();
}

void python::restoreError() noexcept {
  try {
    try {
      throw;
    } catch (nb::python_error &error) {
      error.restore();
    } catch (nb::builtin_exception &error) {
      setError(usageError(error.what()));
    } catch (std::bad_alloc &) {
      setError(resourceLimit("out of memory"));
    } catch (std::exception &error) {
      setError(internalError(error.what()));
    }
  } catch (nb::python_error &error) { // that of importing or making the error
    error.restore();
  } catch (...) {
    PyErr_NoMemory();
  }
}

void python::translateExceptions() {
  nb::register_exception_translator([](const std::exception_ptr &thrown, void *) {
    try {
      std::rethrow_exception(thrown);
    } catch (std::bad_alloc &) {
      setError(resourceLimit("out of memory"));
    } catch (std::exception &error) {
      setError(internalError(error.what()));
    }
  });
}
