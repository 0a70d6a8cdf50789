//===- Values.cpp - what flows through a graph, in Python -----------------===//
#include "Values.h"

#include "Errors.h"
#include "NumPy.h"
#include "Ports.h"

#include <nanobind/stl/string.h>

namespace nb = nanobind;
using namespace quern;

static AnyValue sequenceFrom(nb::handle value, const ValueType &type) {
  if (!PyList_Check(value.ptr()) && !PyTuple_Check(value.ptr()))
    throw nb::type_error("wanted a list for a sequence");
  std::vector<AnyValue> elements;
  for (nb::handle element : value)
    elements.push_back(python::valueFrom(element, type.nested.front()));
  return python::valueOf(AnyValue::sequence(type.nested.front(), std::move(elements)));
}

static AnyValue mapFrom(nb::handle value, const ValueType &type) {
  if (!PyDict_Check(value.ptr()))
    throw nb::type_error("wanted a dict for a map");
  // A list of its own: reading an element may run code of Python's that changes the dict.
  nb::list items = nb::steal<nb::list>(PyDict_Items(value.ptr()));
  nb::list keys;
  std::vector<AnyValue> values;
  for (nb::handle item : items) {
    keys.append(item[0]);
    values.push_back(python::valueFrom(nb::object(item[1]), type.nested.front()));
  }
  Tensor keyTensor = python::tensorOf(keys, ValueType::tensor(type.dtype));
  return python::valueOf(
      AnyValue::map(std::move(keyTensor), type.nested.front(), std::move(values)));
}

AnyValue python::valueFrom(nb::handle value, const ValueType &type) {
  switch (type.kind) {
  case ValueType::Kind::Tensor:
    return tensorOf(value, type);
  case ValueType::Kind::Sequence:
    return sequenceFrom(value, type);
  case ValueType::Kind::Optional:
    return valueOf(AnyValue::optional(
        type.nested.front(), value.is_none() ? AnyValue() : valueFrom(value, type.nested.front())));
  case ValueType::Kind::Map:
    return mapFrom(value, type);
  }
  throw nb::type_error("a port of an unknown kind");
}

/// A tensor for the port, whose element type it may not have.
static Tensor inputTensor(nb::handle value, const PortSignature &port, bool casts) {
  Tensor tensor = python::tensorOf(value, port);
  bool isOther = port.dtype != DType::Undefined && tensor.dtype() != port.dtype;
  if (!isOther || !python::canCast(tensor.dtype(), port.dtype))
    return tensor; // the run says what is wrong with it
  if (casts)
    return python::tensorOf(python::castArray(value, port.dtype), port);
  throw nb::type_error(("wanted " + port.describe() + ", found " + tensor.describe() +
                        ": convert it with .astype('" + std::string(dtypeName(port.dtype)) +
                        "'), or let Quern do so with quern.compile(..., cast=True)")
                           .c_str());
}

/// Raises what keeps a value from being read, with the error of NumPy's or of the value's own
/// code as its cause.
[[noreturn]] static void refuseInput(const PortSignature &port, nb::python_error &error) {
  if (!error.matches(PyExc_Exception)) // KeyboardInterrupt, ...
    throw nb::python_error(std::move(error));
  bool isOfMemory = error.matches(PyExc_MemoryError);
  nb::object kind = nb::module_::import_("quern.errors")
                        .attr(isOfMemory ? "ResourceLimitError" : "InvalidInputError");
  bool saysEnough = isOfMemory || error.matches(PyExc_TypeError) ||
                    error.matches(PyExc_ValueError) || error.matches(PyExc_BufferError);
  std::string text = "input '" + port.name +
                     "': " + (saysEnough ? "" : python::typeName(error.value()) + ": ") +
                     nb::cast<std::string>(nb::str(error.value()));
  nb::raise_from(error, kind, "%s", text.c_str());
  throw nb::python_error();
}

AnyValue python::inputFrom(nb::handle value, const PortSignature &port, bool casts) {
  try {
    return port.isTensor() ? AnyValue(inputTensor(value, port, casts)) : valueFrom(value, port);
  } catch (nb::python_error &error) {
    refuseInput(port, error);
  } catch (nb::builtin_exception &error) {
    raise(invalidInput("input '" + port.name + "': " + error.what()));
  }
}

nb::object python::toPython(AnyValue value) {
  if (!value.isPresent())
    return nb::none();
  if (Tensor *tensor = value.asTensor())
    return nb::steal(arrayOf(std::move(*tensor)));
  if (const OptionalValue *optional = value.asOptional())
    return toPython(optional->content);
  if (const SequenceValue *sequence = value.asSequence()) {
    nb::list list;
    for (const AnyValue &element : sequence->elements)
      list.append(toPython(element));
    return list;
  }
  const MapValue &map = *value.asMap();
  nb::object keys = nb::steal(arrayOf(map.keys)).attr("tolist")();
  nb::dict dict;
  for (size_t i = 0; i < map.values.size(); ++i) {
    nb::object element = toPython(map.values[i]);
    // One number is a number, as in ONNX Runtime's maps.
    if (const Tensor *tensor = map.values[i].asTensor(); tensor && tensor->rank() == 0)
      element = element.attr("item")();
    dict[keys[i]] = element;
  }
  return dict;
}

std::vector<AnyValue> python::feedOf(std::span<const PortSignature> ports, nb::handle feed) {
  bool isDict = PyDict_Check(feed.ptr());
  if (!isDict && !PyList_Check(feed.ptr()) && !PyTuple_Check(feed.ptr()))
    raise(invalidInput("inputs are a dict by name, or a list or tuple in order, not " +
                       typeName(feed)));
  if (nb::len(feed) != ports.size())
    raise(invalidInput("wanted " + std::to_string(ports.size()) + " inputs, found " +
                       std::to_string(nb::len(feed))));
  std::vector<AnyValue> values;
  for (size_t i = 0; i < ports.size(); ++i) {
    nb::str name = textOf(ports[i].name);
    if (isDict && !nb::borrow<nb::dict>(feed).contains(name))
      raise(invalidInput("input '" + ports[i].name + "' is missing"));
    nb::object value = isDict ? nb::object(feed[name]) : nb::object(feed[i]);
    values.push_back(inputFrom(value, ports[i]));
  }
  return values;
}
