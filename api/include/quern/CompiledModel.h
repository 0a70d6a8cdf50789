//===- CompiledModel.h - what runs, whatever the backend ------------------===//
#pragma once

#include "quern/Deadline.h"
#include "quern/Executable.h"
#include "quern/Session.h"

#include <memory>
#include <span>
#include <vector>

namespace quern {

/// Runs a compiled model, with memory and threads of its own. One per thread: a
/// call while another is running is an error.
class Runner {
public:
  virtual ~Runner() = default;

  virtual const std::vector<PortSignature> &inputs() const = 0;
  virtual const std::vector<PortSignature> &outputs() const = 0;

  /// Runs on `inputs`, one per input of the model, into `outputs`, one per output: a
  /// present tensor must have the output's type and dims, must not overlap an input
  /// or another output (but see Session::run for caches that are updated), and is
  /// written in place; an absent one is allocated.
  /// InvalidInput names the input, what was wanted and what was found.
  virtual Status run(std::span<const Tensor> inputs, std::span<Tensor> outputs) = 0;
  /// As above, into new tensors.
  Expected<std::vector<Tensor>> run(std::span<const Tensor> inputs);
  /// The same of a model with sequences, optionals or maps among its inputs or outputs,
  /// which is InvalidInput above. Outputs that are no tensors are replaced.
  virtual Status run(std::span<const AnyValue> inputs, std::span<AnyValue> outputs) = 0;
  Expected<std::vector<AnyValue>> run(std::span<const AnyValue> inputs);

  /// When runs must be done, from the next one on: SessionOptions::limits say it for the
  /// first ones. Not to be called during a run.
  virtual void setDeadline(const Deadline &deadline) = 0;
  /// Makes the current run (or the next one) end with StatusCode::Cancelled soon. May
  /// be called from any thread and from a signal handler.
  virtual void cancel() = 0;

  /// Threads of a run, the caller's included.
  virtual int threads() const = 0;
  /// Whether runs take subnormal numbers for zero (SessionOptions::flushDenormals); the
  /// interpreter's do not.
  virtual bool flushesDenormals() const { return false; }
  /// With SessionOptions::profile: a row per step, summed over the runs.
  virtual std::vector<ProfileRow> profile() const = 0;
  virtual void clearProfile() = 0;
};

/// A model made ready by a backend: immutable, shared by any number of runners and
/// threads. It does not need the Model it was made from.
class CompiledModel {
public:
  virtual ~CompiledModel() = default;

  virtual const std::vector<PortSignature> &inputs() const = 0;
  virtual const std::vector<PortSignature> &outputs() const = 0;

  /// The input dims that there is code for: those of each plan of an artefact. Nothing when
  /// any will do that fit the ports.
  virtual std::vector<std::vector<Tensor::Dims>> listedInputDims() const { return {}; }
  /// Does now what a first run on inputs of these dims would do before it computes;
  /// one entry per input.
  virtual Status planFor(std::span<const Tensor::Dims> inputDims,
                         const Deadline &deadline = {}) const = 0;
  /// The same for runs on such inputs.
  Status planForInputs(std::span<const AnyValue> inputs, const Deadline &deadline = {}) const;
  /// Usage error when the options make no sense.
  virtual Expected<std::unique_ptr<Runner>>
  createRunner(const SessionOptions &options = {}) const = 0;
};

} // namespace quern
