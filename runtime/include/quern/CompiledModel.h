//===- CompiledModel.h - what runs, whatever the backend ------------------===//
#pragma once

#include "quern/Precision.h"
#include "quern/PrecisionChoice.h"
#include "quern/Runner.h"

#include <memory>
#include <span>
#include <vector>

namespace quern {

/// A model made ready by a backend: immutable, shared by any number of runners and
/// threads. It does not need the Model it was made from.
class CompiledModel {
public:
  virtual ~CompiledModel() = default;

  virtual const std::vector<PortSignature> &inputs() const = 0;
  virtual const std::vector<PortSignature> &outputs() const = 0;

  /// What it was asked to compute in.
  virtual Precision precision() const { return Precision::Float32; }
  /// What Precision::Auto has come to; null of other precisions.
  virtual const PrecisionChoice *precisionChoice() const { return nullptr; }
  /// The input dims that there is code for: those of each plan of an artefact. Nothing when
  /// any will do that fit the ports.
  virtual std::vector<std::vector<Tensor::Dims>> listedInputDims() const { return {}; }
  /// Does now what a first run on inputs of these dims would do before it computes;
  /// one entry per input.
  virtual Status planFor(std::span<const Tensor::Dims> inputDims,
                         const Deadline &deadline = {}) const = 0;
  /// The same, and all that such a run would do when it comes to branches and bodies of loops
  /// whose sizes follow from these: those of both branches, though it takes one.
  virtual Status warmUp(std::span<const Tensor::Dims> inputDims,
                        const Deadline &deadline = {}) const {
    return planFor(inputDims, deadline);
  }
  /// As planFor, for runs on such inputs.
  Status planForInputs(std::span<const AnyValue> inputs, const Deadline &deadline = {}) const;
  /// Usage error when the options make no sense.
  Expected<std::unique_ptr<Runner>> createRunner(const RunnerOptions &options = {}) const;

private:
  /// The options make sense, but for what a backend does not have.
  virtual Expected<std::unique_ptr<Runner>> makeRunner(const RunnerOptions &options) const = 0;
};

} // namespace quern
