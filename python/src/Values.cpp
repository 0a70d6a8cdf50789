//===- Values.cpp - what flows through a graph, in Python -----------------===//
#include "Values.h"

#include "Errors.h"
#include "NumPy.h"

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
  auto dict = nb::borrow<nb::dict>(value);
  nb::list keys;
  std::vector<AnyValue> values;
  for (auto [key, element] : dict) {
    keys.append(key);
    values.push_back(python::valueFrom(element, type.nested.front()));
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
