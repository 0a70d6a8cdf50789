//===- Ports.cpp - the inputs and outputs of a model, in Python -----------===//
#include "Ports.h"

#include "Errors.h"
#include "NumPy.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;
using namespace quern;

nb::str python::textOf(std::string_view text) {
  PyObject *made =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace");
  if (!made)
    throw nb::python_error();
  return nb::steal<nb::str>(made);
}

/// A tuple of sizes, names and None; None when no shape is declared.
static nb::object shapeOf(const ValueType &type) {
  if (!type.isTensor() || !type.ranked)
    return nb::none();
  nb::list dims;
  for (const PortDim &dim : type.shape.dims()) {
    if (dim.isStatic())
      dims.append(dim.size());
    else if (dim.isSymbolic())
      dims.append(python::textOf(dim.symbolName()));
    else
      dims.append(nb::none());
  }
  return nb::tuple(dims);
}

/// "tensor(float)", as ONNX Runtime writes it.
static std::string onnxTypeOf(const ValueType &type) {
  auto element = [](DType dtype) -> std::string {
    switch (dtype) {
    case DType::Float32:
      return "float";
    case DType::Float64:
      return "double";
    default:
      return std::string(dtypeName(dtype));
    }
  };
  switch (type.kind) {
  case ValueType::Kind::Tensor:
    return "tensor(" + element(type.dtype) + ")";
  case ValueType::Kind::Sequence:
    return "seq(" + onnxTypeOf(type.nested.front()) + ")";
  case ValueType::Kind::Optional:
    return "optional(" + onnxTypeOf(type.nested.front()) + ")";
  case ValueType::Kind::Map:
    return "map(" + element(type.dtype) + "," + onnxTypeOf(type.nested.front()) + ")";
  }
  return "";
}

nb::tuple python::portsOf(const std::vector<PortSignature> &ports) {
  nb::list list;
  for (const PortSignature &port : ports)
    list.append(nb::cast(port));
  return nb::tuple(list);
}

Tensor::Dims python::sizedDims(const PortSignature &port,
                               const std::map<std::string, int64_t> &sizes) {
  Tensor::Dims dims;
  if (!port.isTensor())
    return dims;
  if (!port.ranked)
    raise(invalidInput("input '" + port.name + "' has no declared shape: give one, shapes={'" +
                       port.name + "': ...}"));
  for (const PortDim &dim : port.shape.dims()) {
    auto given = dim.isSymbolic() ? sizes.find(dim.symbolName()) : sizes.end();
    if (!dim.isStatic() && given == sizes.end())
      raise(invalidInput("input '" + port.name + "' is " + port.describe() + ": give a size for " +
                         (dim.isSymbolic() ? "'" + dim.symbolName() + "'"
                                           : "the dimension without a name, by shapes=")));
    dims.push_back(dim.isStatic() ? dim.size() : given->second);
  }
  return dims;
}

void python::bindPorts(nb::module_ &module) {
  nb::class_<PortSignature>(module, "Port", "The name and type of an input or output.")
      .def_prop_ro("name", [](const PortSignature &port) { return textOf(port.name); })
      .def_prop_ro(
          "kind", [](const PortSignature &port) { return kindName(port.kind); },
          "\"tensor\", \"sequence\", \"optional\" or \"map\".")
      .def_prop_ro(
          "type", [](const PortSignature &port) { return onnxTypeOf(port); },
          "As ONNX Runtime writes it: \"tensor(float)\".")
      .def_prop_ro(
          "dtype",
          [](const PortSignature &port) -> nb::object {
            return port.isTensor() ? numpyDtype(port.dtype) : nb::none();
          },
          "NumPy's type of a tensor's elements.")
      .def_prop_ro("element_type",
                   [](const PortSignature &port) { return std::string(dtypeName(port.dtype)); })
      .def_prop_ro(
          "shape", [](const PortSignature &port) { return shapeOf(port); },
          "Sizes, names of symbolic dimensions, and None for what is not known.")
      .def("__repr__", [](const PortSignature &port) {
        return textOf("<quern.Port '" + port.name + "': " + port.describe() + ">");
      });
}
