//===- CallableModel.h - a compiled model that Python calls ---------------===//
#pragma once

#include "Cancellation.h"
#include "quern/CompiledModel.h"

#include <nanobind/nanobind.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace quern::python {

/// A compiled model with runners, made as calls of several threads meet. Runs without the
/// GIL.
class CallableModel {
public:
  /// Usage error, raised, when the options make no sense.
  CallableModel(std::shared_ptr<const CompiledModel> model, const RunnerOptions &options,
                std::string backend);
  CallableModel(const CallableModel &) = delete;
  CallableModel &operator=(const CallableModel &) = delete;
  ~CallableModel();

  const CompiledModel &compiled() const { return *model; }
  const RunnerOptions &sessionOptions() const { return options; }
  const std::string &backendName() const { return backend; }
  int threads() const { return threadCount; }

  /// Inputs by position, then by name; gives the output, or a tuple of several.
  nanobind::object call(PyObject *arguments, PyObject *named);
  /// Inputs from a dict by name or a sequence, the outputs as a list; `names` chooses
  /// outputs, None is all; the run takes at most `seconds`, or as long as it takes, and ends
  /// when `cancellation`, unless None, is asked for.
  nanobind::object run(nanobind::handle names, nanobind::handle feed, nanobind::handle seconds,
                       nanobind::handle cancellation);
  /// Into arrays: one for each output, or None for one to be made.
  nanobind::list runInto(nanobind::handle feed, nanobind::handle outputs,
                         nanobind::handle cancellation);

  /// Raises what `run` would raise about inputs before it computes.
  void checkFeed(nanobind::handle feed);

  using Sizes = std::map<std::string, int64_t>;
  using Shapes = std::map<std::string, std::vector<int64_t>>;
  /// Plans and compiles what runs of these sizes need: those of symbolic dimensions, or the
  /// whole shapes of inputs.
  void warmUp(const Sizes &dims, const Shapes &shapes, nanobind::handle seconds);
  /// Whether inputs of another numeric type are converted to that of the model.
  bool castsInputs = false;
  /// Whether `call` gives several outputs as a dict by name instead of a tuple.
  bool givesDict = false;
  /// Of all runners; UsageError, raised, without RunnerOptions::profile.
  std::vector<ProfileRow> profile();
  void clearProfile();

private:
  struct Worker;
  struct Lease;
  std::unique_ptr<Worker> makeWorker();
  [[noreturn]] void refuseNames(nanobind::handle feed) const;
  void takeInputs(Worker &worker, nanobind::handle feed);
  void readInput(Worker &worker, size_t i);
  void readFeed(Worker &worker, nanobind::handle feed);
  void takeTargets(Worker &worker, nanobind::handle outputs);
  nanobind::object takeTarget(Worker &worker, size_t i);
  Status runWatched(Worker &worker, Cancellation *cancellation);
  void runWorker(Worker &worker, Cancellation *cancellation = nullptr);
  void prepareSmallOutputs(Worker &worker);
  void noteDims(Worker &worker);
  nanobind::object takeOutput(Worker &worker, size_t i);
  nanobind::list takeOutputs(Worker &worker);
  size_t outputIndex(nanobind::handle name) const;
  std::vector<size_t> outputIndices(nanobind::handle names) const;

  std::shared_ptr<const CompiledModel> model;
  RunnerOptions options;
  std::string backend;
  int threadCount = 0;
  /// Whether all inputs and outputs are tensors.
  bool onlyTensors = true;
  /// Interned strings.
  std::vector<nanobind::object> inputNames, outputNames;
  /// Read and changed with the GIL held.
  std::vector<std::unique_ptr<Worker>> idle;
};

void bindCallableModel(nanobind::module_ &module);

} // namespace quern::python
