//===- Reduction.h - the smallest model that still shows a fault ----------===//
#pragma once

#include "quern/InputSizes.h"
#include "quern/Limits.h"
#include "quern/Model.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace quern {

/// A part of a model, with what its inputs were in a run of the whole.
struct ReducedModel {
  /// An ONNX file.
  std::string bytes;
  std::vector<std::pair<std::string, AnyValue>> inputs;
  /// Its nodes by their names, as errors have them, and how many the whole model has.
  std::vector<std::string> nodes;
  size_t nodesBefore = 0;
  /// How many candidates were tried for it, and whether all that were to be were.
  size_t trials = 0;
  bool isComplete = true;
};

struct ReductionOptions {
  /// Sizes that the model's inputs are given.
  InputSizes sizes = {};
  Limits limits = {};
  /// How many candidates are tried at most, of nodes and then of sizes.
  size_t maxTrials = 400, maxSizeTrials = 100;
};

/// Whether a model shows what is looked for. An error ends the reduction; Cancelled with what there
/// is by then.
using ShowsFault = std::function<Expected<bool>(const ReducedModel &candidate)>;

/// Leaves out nodes of a model file as long as the rest `shows` it: what it takes of others gets
/// the values that the interpreter has for these inputs. Then dimensions become smaller. Usage
/// error when the whole model does not show it.
Expected<ReducedModel> reduceModel(const std::string &path, std::span<const AnyValue> inputs,
                                   const ShowsFault &shows, const ReductionOptions &options = {});

} // namespace quern
