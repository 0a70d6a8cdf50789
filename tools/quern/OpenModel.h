//===- OpenModel.h - from options to a model that runs --------------------===//
#pragma once

#include "quern/FileGuard.h"
#include "quern/Model.h"
#include "tools/quern/InputTensors.h"
#include "tools/quern/Options.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// A model with the limits of all that a verb does with it.
struct OpenedModel {
  Model model;
  Limits limits;
  double loadMs = 0;
  /// Knows the model's files and those that are to be written.
  FileGuard guard = {};
};

/// Something to run: a model, or a library that was compiled of one ahead of time.
struct Runnable {
  /// None when it is a library.
  std::optional<Model> model;
  /// Null when it is none.
  std::shared_ptr<const CompiledModel> library;
  Limits limits;
  double loadMs = 0;
  FileGuard guard = {};

  /// Of a library: its inputs with the sizes asked for, and sizes for what is left open.
  std::vector<PortSignature> libraryInputs = {};
  SymbolSizes defaults = {};

  const std::vector<PortSignature> &inputs() const {
    return library ? libraryInputs : model->inputs();
  }
  const std::vector<PortSignature> &outputs() const {
    return library ? library->outputs() : model->outputs();
  }
  /// For reports: native, interpreter, or library.
  std::string backendName(const BackendOptions &options) const {
    if (library)
      return "library";
    return options.compile.backend == Backend::Interpreter ? "interpreter" : "native";
  }
  /// Of Precision::Auto what was chosen; null otherwise, and as long as nothing was.
  const PrecisionChoice *choice(const BackendOptions &options) const {
    return library ? library->precisionChoice() : options.compile.choice.get();
  }
  /// What is computed in: what a library was compiled for, what is asked of a model.
  Precision precision(const BackendOptions &options) const {
    return library ? library->precision() : options.compile.precision;
  }
};

/// Loads the model with the sizes given. `guard` knows files that are to be written.
Expected<OpenedModel> openModel(const ModelOptions &options, const OutputStyle &style,
                                FileGuard guard = {});

/// Loads a model as above, or a library.
Expected<Runnable> openRunnable(const ModelOptions &options, const OutputStyle &style);

/// Says in detail why no compiled kernels are kept, where they should be.
void explainKernelCache(const CompileOptions &options, const OutputStyle &style);

/// Warns of what went wrong with the folder of what was measured.
void noteTuning(const TuningChoice &choice, const OutputStyle &style);

/// `options`; with --precision auto and --tune, of a model, they have what is chosen on these
/// inputs.
Expected<BackendOptions> settleChoices(const Runnable &opened, const BackendOptions &options,
                                       std::span<const AnyValue> inputs, const InputOptions &given,
                                       const OutputStyle &style);
/// The same for verbs that run nothing: on the inputs that are given, else on random ones.
Expected<CompileOptions> settleChoices(const Model &model, const CompileOptions &options,
                                       const InputOptions &given, const OutputStyle &style,
                                       FileGuard &guard);

/// Says what was computed in, where that is not float32 on the model's weights.
void notePrecision(const Runnable &opened, const BackendOptions &options, const OutputStyle &style);

/// What native code is made of the model, for these inputs. Nothing is said of a library, nor
/// where there is no time left for it.
std::optional<Explanation> explainCompiled(const Runnable &compiled, const CompileOptions &options,
                                           std::span<const AnyValue> inputs,
                                           const OutputStyle &style);

/// Makes a runner, after what the backend does before a run on these inputs.
Expected<std::unique_ptr<Runner>> prepare(const Runnable &opened, const BackendOptions &options,
                                          std::span<const AnyValue> inputs);

/// What makes the runs of a verb.
struct PreparedRuns {
  /// With what was chosen.
  BackendOptions backend;
  std::unique_ptr<Runner> runner;
  double compileMs = 0;
};
/// All that comes between a verb's inputs and its runs: makes the choices that are left, then the
/// runner, and says why no kernels are kept.
Expected<PreparedRuns> prepareRuns(const Runnable &opened, const BackendOptions &options,
                                   std::span<const AnyValue> inputs, const InputOptions &given,
                                   const OutputStyle &style);

} // namespace quern::cli
