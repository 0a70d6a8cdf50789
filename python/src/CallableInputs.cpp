//===- CallableInputs.cpp - the inputs of a call from Python --------------===//
#include "CallableWorker.h"
#include "Errors.h"
#include "NumPy.h"
#include "Values.h"

#include <nanobind/stl/string.h>

#include <algorithm>

namespace nb = nanobind;
using namespace quern;
using python::CallableModel;

void CallableModel::readInput(Worker &worker, size_t i) {
  nb::handle value = worker.given[i];
  const PortSignature &port = model->inputs()[i];
  if (!onlyTensors) {
    worker.inputValues[i] = inputFrom(value, port, castsInputs);
    return;
  }
  Tensor &tensor = worker.inputs[i];
  if (viewArray(value.ptr(), tensor) && tensor.dtype() == port.dtype)
    return;
  tensor = std::move(*inputFrom(value, port, castsInputs).asTensor());
}

std::string python::quoted(nb::handle name) {
  return "'" + nb::cast<std::string>(nb::str(name)) + "'";
}

std::string python::quotedList(const std::vector<nb::object> &names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 < names.size() ? ", " : " and ") + quoted(names[i]);
  return text;
}

/// What a dict lacks and has too much.
void CallableModel::refuseNames(nb::handle feed) const {
  std::vector<nb::object> missing, unknown;
  for (const nb::object &name : inputNames)
    if (!nb::borrow<nb::dict>(feed).contains(name))
      missing.push_back(name);
  nb::list keys = nb::steal<nb::list>(PyDict_Keys(feed.ptr()));
  for (size_t i = 0; i < nb::len(keys); ++i) {
    nb::object key = keys[i];
    if (std::none_of(inputNames.begin(), inputNames.end(),
                     [&](const nb::object &name) { return name.equal(key); }))
      unknown.push_back(key);
  }
  std::string text;
  if (!missing.empty())
    text = (missing.size() == 1 ? "input " : "inputs ") + quotedList(missing) +
           (missing.size() == 1 ? " is missing" : " are missing");
  if (!unknown.empty())
    text += (text.empty() ? "" : "; ") + ("the model has no input " + quotedList(unknown)) +
            (inputNames.empty() ? std::string() : "; it has " + quotedList(inputNames));
  raise(invalidInput(text.empty() ? "the inputs were changed while they were read" : text));
}

/// Takes a reference to each input.
void CallableModel::takeInputs(Worker &worker, nb::handle feed) {
  size_t count = inputNames.size();
  if (PyDict_Check(feed.ptr())) {
    for (size_t i = 0; i < count; ++i) {
      PyObject *value = PyDict_GetItemWithError(feed.ptr(), inputNames[i].ptr());
      if (!value && PyErr_Occurred())
        throw nb::python_error();
      if (!value)
        refuseNames(feed);
      worker.given[i] = nb::borrow(value);
    }
    if (static_cast<size_t>(PyDict_Size(feed.ptr())) != count)
      refuseNames(feed);
    return;
  }
  if (!PyList_Check(feed.ptr()) && !PyTuple_Check(feed.ptr()))
    raise(invalidInput("inputs are a dict by name, or a list or tuple in order, not " +
                       typeName(feed)));
  auto list = nb::borrow<nb::sequence>(feed);
  if (nb::len(list) != count)
    raise(invalidInput("wanted " + std::to_string(count) + " inputs, found " +
                       std::to_string(nb::len(list))));
  for (size_t i = 0; i < count; ++i)
    worker.given[i] = list[i];
}

void CallableModel::readFeed(Worker &worker, nb::handle feed) {
  takeInputs(worker, feed);
  // Reading one runs code of Python's that may change the feed.
  for (size_t i = 0; i < worker.given.size(); ++i)
    readInput(worker, i);
}

void CallableModel::checkFeed(nb::handle feed) {
  // No runner is taken: others may be busy, and none is needed.
  Worker worker;
  worker.given.resize(inputNames.size());
  (onlyTensors ? worker.inputs.resize(inputNames.size())
               : worker.inputValues.resize(inputNames.size()));
  readFeed(worker, feed);
  check(onlyTensors ? checkInputs(model->inputs(), std::span<const Tensor>(worker.inputs))
                    : checkInputs(model->inputs(), std::span<const AnyValue>(worker.inputValues)));
}
