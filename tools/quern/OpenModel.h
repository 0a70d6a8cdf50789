//===- OpenModel.h - from options to a model that runs --------------------===//
#pragma once

#include "quern/Model.h"
#include "tools/quern/Options.h"

#include <memory>
#include <span>

namespace quern::cli {

/// A model with the limits of all that a verb does with it.
struct OpenedModel {
  Model model;
  Limits limits;
  double loadMs = 0;
};

/// Loads the model with the sizes given.
Expected<OpenedModel> openModel(const ModelOptions &options, const OutputStyle &style);

CompileOptions compileOptions(const BackendOptions &options, const Limits &limits);

/// Compiles, for these inputs, as far as the backend does before a run.
Expected<std::unique_ptr<Runner>> prepare(const OpenedModel &opened, const BackendOptions &options,
                                          std::span<const AnyValue> inputs);

} // namespace quern::cli
