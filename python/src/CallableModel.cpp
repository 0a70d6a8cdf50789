//===- CallableModel.cpp - a compiled model that Python calls -------------===//
//
// A call of a small model takes less than a microsecond, and as long should what is around
// it: names are interned, arrays are seen through NumPy's C interface, runners wait with
// the lists that their calls need.
//
//===----------------------------------------------------------------------===//
#include "CallableWorker.h"
#include "Errors.h"
#include "ModelBindings.h"
#include "NumPy.h"
#include "Ports.h"
#include "Values.h"
#include "Watch.h"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace nb = nanobind;
using namespace quern;
using python::CallableModel;

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
  for (const PortSignature &port : ports) {
    PyObject *name = python::textOf(port.name).release().ptr();
    PyUnicode_InternInPlace(&name);
    names.push_back(nb::steal(name));
  }
  return names;
}

static bool areTensors(const std::vector<PortSignature> &ports) {
  return std::all_of(ports.begin(), ports.end(), [](const auto &port) { return port.isTensor(); });
}

CallableModel::CallableModel(std::shared_ptr<const CompiledModel> compiled,
                             const RunnerOptions &options, std::string backend)
    : model(std::move(compiled)), options(options), backend(std::move(backend)),
      onlyTensors(areTensors(model->inputs()) && areTensors(model->outputs())),
      inputNames(internedNames(model->inputs())), outputNames(internedNames(model->outputs())) {
  idle.push_back(makeWorker());
  threadCount = idle.front()->runner->threads();
}

CallableModel::~CallableModel() = default;

std::unique_ptr<CallableModel::Worker> CallableModel::makeWorker() {
  watchSignals();
  auto worker = std::make_unique<Worker>();
  worker->runner = valueOf(model->createRunner(options));
  size_t inputs = model->inputs().size(), outputs = model->outputs().size();
  worker->given.resize(inputs);
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
// Runs
//===----------------------------------------------------------------------===//

Status CallableModel::runWatched(Worker &worker, Cancellation *cancellation) {
  RunWatcher watcher(*worker.runner);
  Status status;
  {
    Cancellation::Run cancellable(cancellation, *worker.runner);
    InterruptScope interruptible(*worker.runner);
    nb::gil_scoped_release unlocked;
    std::optional<ProgressScope> watched;
    if (isMainThread())
      watched.emplace(watcher);
    status = onlyTensors
                 ? worker.runner->run(std::span<const Tensor>(worker.inputs), worker.outputs)
                 : worker.runner->run(std::span<const AnyValue>(worker.inputValues),
                                      worker.outputValues);
  }
  watcher.rethrow();
  return status;
}

void CallableModel::runWorker(Worker &worker, Cancellation *cancellation) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kSlow = std::chrono::milliseconds(1);
  while (true) {
    if (cancellation && cancellation->isAsked())
      raise({StatusCode::Cancelled, "the run was cancelled"});
    // Asking for all handlers takes microseconds.
    if (worker.isSlow && isMainThread())
      watchSignals();
    Clock::time_point began = Clock::now();
    Status status = runWatched(worker, cancellation);
    worker.isSlow = Clock::now() - began > kSlow;
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
    for (auto [name, value] : feed) { // the call's own dict
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
  if (!givesDict)
    return nb::tuple(takeOutputs(*worker));
  nb::dict outputs;
  for (size_t i = 0; i < outputNames.size(); ++i)
    outputs[outputNames[i]] = takeOutput(*worker, i);
  return outputs;
}

size_t CallableModel::outputIndex(nb::handle name) const {
  for (size_t i = 0; i < outputNames.size(); ++i)
    if (outputNames[i].is(name) || outputNames[i].equal(name))
      return i;
  raise(invalidInput("the model has no output " + quoted(name) + "; it has " +
                     quotedList(outputNames)));
}

std::vector<size_t> CallableModel::outputIndices(nb::handle names) const {
  std::vector<size_t> wanted;
  if (names.is_none())
    return wanted;
  nb::object list =
      nb::steal(PyUnicode_Check(names.ptr()) ? nullptr : PySequence_List(names.ptr()));
  if (!list.is_valid()) {
    PyErr_Clear();
    raise(invalidInput("the names of outputs are a list, not " + typeName(names)));
  }
  for (size_t i = 0; i < nb::len(list); ++i)
    wanted.push_back(outputIndex(nb::object(list[i])));
  return wanted;
}

static python::Cancellation *cancellationOf(nb::handle given) {
  python::Cancellation *cancellation = nullptr;
  if (!given.is_none() && !nb::try_cast(given, cancellation))
    python::raise(usageError("wanted a quern.Cancellation, found " + python::typeName(given)));
  return cancellation;
}

nb::object CallableModel::run(nb::handle names, nb::handle feed, nb::handle seconds,
                              nb::handle cancellation) {
  Lease worker(*this);
  std::vector<size_t> wanted = outputIndices(names);
  DeadlineScope limited(*worker->runner, seconds);
  readFeed(*worker, feed);
  prepareSmallOutputs(*worker);
  runWorker(*worker, cancellationOf(cancellation));
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

/// Takes a reference to each array that an output is computed in.
void CallableModel::takeTargets(Worker &worker, nb::handle outputs) {
  if (!PyList_Check(outputs.ptr()) && !PyTuple_Check(outputs.ptr()))
    raise(invalidInput("outputs are a list or tuple in order, not " + typeName(outputs)));
  auto list = nb::borrow<nb::sequence>(outputs);
  if (nb::len(list) != outputNames.size())
    raise(invalidInput("wanted " + std::to_string(outputNames.size()) + " outputs, found " +
                       std::to_string(nb::len(list))));
  for (size_t i = 0; i < outputNames.size(); ++i) {
    nb::object target = list[i];
    if (target.is_none())
      continue;
    if (std::string refusal = viewTarget(target.ptr(), model->outputs()[i], worker.outputs[i]);
        !refusal.empty())
      raise(invalidInput("output " + quoted(outputNames[i]) + ": " + refusal));
    worker.arrays[i] = std::move(target);
  }
}

/// The array of output `i`, or a new one.
nb::object CallableModel::takeTarget(Worker &worker, size_t i) {
  nb::object target = std::move(worker.arrays[i]);
  if (!target.is_valid())
    return takeOutput(worker, i);
  // One whose size the run has found out is not in its place yet.
  if (!isMemoryOf(target, worker.outputs[i])) {
    nb::object found = takeOutput(worker, i);
    nb::object shape = found.attr("shape"), given = target.attr("shape");
    if (!shape.equal(given))
      raise(invalidInput("output " + quoted(outputNames[i]) + ": its shape is " +
                         nb::cast<std::string>(nb::str(shape)) + ", that of the given array " +
                         nb::cast<std::string>(nb::str(given))));
    nb::module_::import_("numpy").attr("copyto")(target, found);
  }
  return target;
}

nb::list CallableModel::runInto(nb::handle feed, nb::handle outputs, nb::handle cancellation) {
  if (!onlyTensors)
    raise(usageError("a model with sequences, optionals or maps cannot run into given arrays"));
  Lease worker(*this);
  takeTargets(*worker, outputs);
  readFeed(*worker, feed);
  runWorker(*worker, cancellationOf(cancellation));
  nb::list results;
  for (size_t i = 0; i < outputNames.size(); ++i)
    results.append(takeTarget(*worker, i));
  return results;
}

void CallableModel::warmUp(const Sizes &dims, const Shapes &shapes, nb::handle seconds) {
  for (const auto &[name, sizes] : shapes)
    if (std::none_of(model->inputs().begin(), model->inputs().end(),
                     [&, &name = name](const auto &port) { return port.name == name; }))
      raise(
          invalidInput("the model has no input '" + name + "'; it has " + quotedList(inputNames)));
  std::vector<Tensor::Dims> inputDims;
  for (const PortSignature &port : model->inputs()) {
    auto given = shapes.find(port.name);
    inputDims.push_back(given != shapes.end() ? given->second : sizedDims(port, dims));
  }
  Deadline deadline = deadlineOf(seconds);
  check(watched(nb::none(), [&] { return model->warmUp(inputDims, deadline); }));
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
