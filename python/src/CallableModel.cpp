//===- CallableModel.cpp - a compiled model that Python calls -------------===//
//
// A call of a small model takes less than a microsecond, and as long should what is around
// it: names are interned, arrays are seen through NumPy's C interface, runners wait with
// the lists that their calls need.
//
//===----------------------------------------------------------------------===//
#include "CallableModel.h"

#include "Errors.h"
#include "Interrupt.h"
#include "ModelBindings.h"
#include "NumPy.h"
#include "Values.h"

#include <nanobind/stl/string.h>

#include <algorithm>

namespace nb = nanobind;
using namespace quern;
using python::CallableModel;

struct CallableModel::Worker {
  std::unique_ptr<Runner> runner;
  // Of a call; the second pair serves models with other values than tensors.
  std::vector<Tensor> inputs, outputs;
  std::vector<AnyValue> inputValues, outputValues;
  /// The arrays that outputs are computed in, given ones or small ones; null for others.
  std::vector<nb::object> arrays;
  /// Of the last call, whose outputs had these dims.
  std::vector<Tensor::Dims> inputDims, outputDims;

  /// Views of arrays stay, as numbers to compare with: whoever runs has made them anew.
  void forgetValues() {
    for (Tensor &tensor : inputs)
      if (tensor.isOwner())
        tensor = Tensor();
    std::fill(outputs.begin(), outputs.end(), Tensor());
    std::fill(arrays.begin(), arrays.end(), nb::object());
    for (auto *values : {&inputValues, &outputValues})
      std::fill(values->begin(), values->end(), AnyValue());
  }
  bool hasDimsOfLastCall() const {
    return !outputDims.empty() &&
           std::equal(inputs.begin(), inputs.end(), inputDims.begin(), inputDims.end(),
                      [](const Tensor &tensor, const Tensor::Dims &dims) {
                        return tensor.dims() == dims;
                      });
  }
};

/// A worker for one call. Whoever takes or returns one holds the GIL.
struct CallableModel::Lease {
  explicit Lease(CallableModel &owner) : owner(owner) {
    if (owner.idle.empty()) {
      worker = owner.makeWorker();
      return;
    }
    worker = std::move(owner.idle.back());
    owner.idle.pop_back();
  }
  ~Lease() {
    worker->forgetValues();
    owner.idle.push_back(std::move(worker));
  }
  Worker *operator->() { return worker.get(); }
  Worker &operator*() { return *worker; }

  CallableModel &owner;
  std::unique_ptr<Worker> worker;
};

namespace {
/// Gives a run a limit of seconds, unless that is None.
class DeadlineScope {
public:
  DeadlineScope(Runner &runner, nb::handle seconds)
      : runner(seconds.is_none() ? nullptr : &runner) {
    if (this->runner)
      runner.setDeadline(python::deadlineOf(seconds));
  }
  ~DeadlineScope() {
    if (runner)
      runner->setDeadline({});
  }

private:
  Runner *runner;
};
} // namespace

static std::vector<nb::object> internedNames(const std::vector<PortSignature> &ports) {
  std::vector<nb::object> names;
  for (const PortSignature &port : ports)
    names.push_back(nb::steal(PyUnicode_InternFromString(port.name.c_str())));
  return names;
}

static bool areTensors(const std::vector<PortSignature> &ports) {
  return std::all_of(ports.begin(), ports.end(), [](const auto &port) { return port.isTensor(); });
}

CallableModel::CallableModel(std::shared_ptr<const CompiledModel> compiled,
                             const SessionOptions &options, std::string backend)
    : model(std::move(compiled)), options(options), backend(std::move(backend)),
      onlyTensors(areTensors(model->inputs()) && areTensors(model->outputs())),
      inputNames(internedNames(model->inputs())), outputNames(internedNames(model->outputs())) {
  idle.push_back(makeWorker());
  threadCount = idle.front()->runner->threads();
}

CallableModel::~CallableModel() = default;

std::unique_ptr<CallableModel::Worker> CallableModel::makeWorker() {
  watchInterrupts();
  auto worker = std::make_unique<Worker>();
  worker->runner = valueOf(model->createRunner(options));
  size_t inputs = model->inputs().size(), outputs = model->outputs().size();
  if (onlyTensors) {
    worker->inputs.resize(inputs);
    worker->outputs.resize(outputs);
    worker->arrays.resize(outputs);
  } else {
    worker->inputValues.resize(inputs);
    worker->outputValues.resize(outputs);
  }
  return worker;
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

void CallableModel::readInput(Worker &worker, size_t i, nb::handle value) {
  if (onlyTensors && viewArray(value.ptr(), worker.inputs[i]) &&
      worker.inputs[i].dtype() == model->inputs()[i].dtype)
    return;
  const PortSignature &port = model->inputs()[i];
  try {
    if (onlyTensors)
      worker.inputs[i] = tensorOf(value, port);
    else
      worker.inputValues[i] = valueFrom(value, port);
  } catch (nb::python_error &error) {
    if (!error.matches(PyExc_TypeError) && !error.matches(PyExc_ValueError) &&
        !error.matches(PyExc_BufferError))
      throw;
    raise(invalidInput("input '" + port.name +
                       "': " + nb::cast<std::string>(nb::str(error.value()))));
  } catch (nb::builtin_exception &error) {
    raise(invalidInput("input '" + port.name + "': " + error.what()));
  }
}

static std::string quoted(nb::handle name) {
  return "'" + nb::cast<std::string>(nb::str(name)) + "'";
}

void CallableModel::readFeed(Worker &worker, nb::handle feed) {
  size_t count = inputNames.size();
  if (PyDict_Check(feed.ptr())) {
    for (size_t i = 0; i < count; ++i) {
      PyObject *value = PyDict_GetItemWithError(feed.ptr(), inputNames[i].ptr());
      if (!value)
        raise(invalidInput("input " + quoted(inputNames[i]) + " is missing"));
      readInput(worker, i, value);
    }
    if (static_cast<size_t>(PyDict_Size(feed.ptr())) != count)
      for (auto [name, value] : nb::borrow<nb::dict>(feed))
        if (std::none_of(
                inputNames.begin(), inputNames.end(),
                [&, wanted = name](const nb::object &known) { return known.equal(wanted); }))
          raise(invalidInput("the model has no input " + quoted(name)));
    return;
  }
  if (!PyList_Check(feed.ptr()) && !PyTuple_Check(feed.ptr()))
    throw nb::type_error("inputs are a dict by name, or a list or tuple in order");
  auto list = nb::borrow<nb::sequence>(feed);
  if (nb::len(list) != count)
    raise(invalidInput("wanted " + std::to_string(count) + " inputs, found " +
                       std::to_string(nb::len(list))));
  for (size_t i = 0; i < count; ++i)
    readInput(worker, i, nb::object(list[i]));
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

void CallableModel::runWorker(Worker &worker, Cancellation *cancellation) {
  while (true) {
    if (cancellation && cancellation->isAsked())
      raise({StatusCode::Cancelled, "the run was cancelled"});
    Status status;
    {
      Cancellation::Run cancellable(cancellation, *worker.runner);
      InterruptScope interruptible(*worker.runner);
      nb::gil_scoped_release unlocked;
      status = onlyTensors
                   ? worker.runner->run(std::span<const Tensor>(worker.inputs), worker.outputs)
                   : worker.runner->run(std::span<const AnyValue>(worker.inputValues),
                                        worker.outputValues);
    }
    if (status.isOk())
      return noteDims(worker);
    if (status.code() != StatusCode::Cancelled)
      raise(status);
    if (PyErr_CheckSignals() < 0)
      throw nb::python_error();
    // A signal, or a request, that came after the run it was meant for, or whose handler goes on.
  }
}

/// Outputs of a few elements are computed in arrays of NumPy's: cheaper than memory of ours
/// and an object that lets it go. Their sizes are those of the last call.
void CallableModel::prepareSmallOutputs(Worker &worker) {
  if (!onlyTensors || !worker.hasDimsOfLastCall())
    return;
  for (size_t i = 0; i < worker.outputs.size(); ++i)
    worker.arrays[i] =
        nb::steal(smallArray(model->outputs()[i].dtype, worker.outputDims[i], worker.outputs[i]));
}

void CallableModel::noteDims(Worker &worker) {
  if (!onlyTensors || worker.hasDimsOfLastCall())
    return;
  worker.inputDims.clear();
  worker.outputDims.clear();
  for (const Tensor &tensor : worker.inputs)
    worker.inputDims.push_back(tensor.dims());
  for (const Tensor &tensor : worker.outputs)
    worker.outputDims.push_back(tensor.dims());
}

nb::object CallableModel::takeOutput(Worker &worker, size_t i) {
  if (!onlyTensors)
    return toPython(std::move(worker.outputValues[i]));
  // What the run has replaced lies elsewhere: its size depends on data.
  if (worker.arrays[i].is_valid() && isMemoryOf(worker.arrays[i], worker.outputs[i]))
    return std::move(worker.arrays[i]);
  return nb::steal(arrayOf(std::move(worker.outputs[i])));
}

nb::list CallableModel::takeOutputs(Worker &worker) {
  nb::list outputs;
  for (size_t i = 0; i < outputNames.size(); ++i)
    outputs.append(takeOutput(worker, i));
  return outputs;
}

nb::object CallableModel::call(PyObject *arguments, PyObject *named) {
  Lease worker(*this);
  auto count = static_cast<size_t>(NB_TUPLE_GET_SIZE(arguments));
  if (named && PyDict_Size(named) > 0) {
    nb::dict feed = nb::borrow<nb::dict>(named);
    nb::dict all;
    for (size_t i = 0; i < std::min(count, inputNames.size()); ++i)
      all[inputNames[i]] = nb::borrow(NB_TUPLE_GET_ITEM(arguments, i));
    for (auto [name, value] : feed) {
      if (all.contains(name))
        raise(invalidInput("input " + quoted(name) + " is given twice"));
      all[name] = value;
    }
    readFeed(*worker, all);
  } else {
    if (count == 1 && PyDict_Check(NB_TUPLE_GET_ITEM(arguments, 0)) &&
        (inputNames.size() != 1 || model->inputs()[0].kind != ValueType::Kind::Map))
      arguments = NB_TUPLE_GET_ITEM(arguments, 0);
    readFeed(*worker, arguments);
  }
  prepareSmallOutputs(*worker);
  runWorker(*worker);
  if (outputNames.size() == 1)
    return takeOutput(*worker, 0);
  return nb::tuple(takeOutputs(*worker));
}

size_t CallableModel::outputIndex(nb::handle name) const {
  for (size_t i = 0; i < outputNames.size(); ++i)
    if (outputNames[i].is(name) || outputNames[i].equal(name))
      return i;
  raise(invalidInput("the model has no output " + quoted(name)));
}

nb::object CallableModel::run(nb::handle names, nb::handle feed, nb::handle seconds,
                              Cancellation *cancellation) {
  Lease worker(*this);
  DeadlineScope limited(*worker->runner, seconds);
  std::vector<size_t> wanted;
  if (!names.is_none())
    for (nb::handle name : names)
      wanted.push_back(outputIndex(name));
  readFeed(*worker, feed);
  prepareSmallOutputs(*worker);
  runWorker(*worker, cancellation);
  if (wanted.empty())
    return takeOutputs(*worker);
  nb::list outputs;
  std::vector<nb::object> taken(outputNames.size());
  for (size_t i : wanted) {
    if (!taken[i].is_valid())
      taken[i] = takeOutput(*worker, i);
    outputs.append(taken[i]);
  }
  return outputs;
}

nb::list CallableModel::runInto(nb::handle feed, nb::handle outputs, Cancellation *cancellation) {
  if (!onlyTensors)
    throw nb::type_error("a model with sequences, optionals or maps cannot run into given arrays");
  Lease worker(*this);
  auto list = nb::borrow<nb::sequence>(outputs);
  if (nb::len(list) != outputNames.size())
    raise(invalidInput("wanted " + std::to_string(outputNames.size()) + " outputs, found " +
                       std::to_string(nb::len(list))));
  for (size_t i = 0; i < outputNames.size(); ++i) {
    nb::object target = list[i];
    if (target.is_none())
      continue;
    if (!viewArray(target.ptr(), worker->outputs[i]) || !isWritable(target))
      raise(invalidInput("output " + quoted(outputNames[i]) +
                         ": wanted a dense, aligned, writable NumPy array"));
    worker->arrays[i] = std::move(target);
  }
  readFeed(*worker, feed);
  runWorker(*worker, cancellation);
  nb::list results;
  for (size_t i = 0; i < outputNames.size(); ++i) {
    nb::object target = std::move(worker->arrays[i]);
    // One whose size the run has found out is not in its place yet.
    if (target.is_valid() && !isMemoryOf(target, worker->outputs[i]))
      nb::module_::import_("numpy").attr("copyto")(target, takeOutput(*worker, i));
    results.append(target.is_valid() ? target : takeOutput(*worker, i));
  }
  return results;
}

std::vector<ProfileRow> CallableModel::profile() {
  if (!options.profile)
    raise(usageError("there is no profile: compile with profile=True"));
  std::vector<ProfileRow> rows;
  for (const auto &worker : idle)
    for (ProfileRow &row : worker->runner->profile())
      rows.push_back(std::move(row));
  return rows;
}

void CallableModel::clearProfile() {
  for (const auto &worker : idle)
    worker->runner->clearProfile();
}
