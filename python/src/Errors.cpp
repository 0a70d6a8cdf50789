//===- Errors.cpp - from a Status to a Python exception -------------------===//
#include "Errors.h"

namespace nb = nanobind;
using namespace quern;

void python::raise(const Status &status) {
  nb::object message = nb::steal(
      PyUnicode_DecodeUTF8(status.message().data(),
                           static_cast<Py_ssize_t>(status.message().size()), "backslashreplace"));
  nb::object error = nb::module_::import_("quern.errors")
                         .attr("error_of")(static_cast<int>(status.code()), message);
  PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error.ptr())), error.ptr());
  throw nb::python_error();
}
