//===- Ports.cpp - the inputs and outputs of a model, in Python -----------===//
#include "Ports.h"

#include "NumPy.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;
using namespace quern;

/// A tuple of sizes, names and None; None when no shape is declared.
static nb::object shapeOf(const ValueType &type) {
  if (!type.isTensor() || !type.ranked)
    return nb::none();
  nb::list dims;
  for (const PortDim &dim : type.shape.dims()) {
    if (dim.isStatic())
      dims.append(dim.size());
    else if (dim.isSymbolic())
      dims.append(dim.symbolName());
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

void python::bindPorts(nb::module_ &module) {
  nb::class_<PortSignature>(module, "Port", "The name and type of an input or output.")
      .def_ro("name", &PortSignature::name)
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
        return "<quern.Port '" + port.name + "': " + port.describe() + ">";
      });
}
