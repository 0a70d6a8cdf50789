//===- CompileOptions.h - how a model is compiled -------------------------===//
//
// One value that goes down as it is, from whoever asks to the passes, plans and emitters, which
// read their options in it. A new option is a member and a row here, a member of
// quern_compile_options (quern.h, read in api/c/Models.cpp), an argument in
// python/quern/compiling.py, and what obeys it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/Limits.h"
#include "quern/OptionText.h"
#include "quern/Precision.h"
#include "quern/PrecisionChoice.h"
#include "quern/TuningChoice.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace quern {

/// What runs a model: native code, or the reference kernels on the graph as it was
/// loaded, one op after the other.
enum class Backend { Native, Interpreter };

struct CompileOptions {
  Backend backend = Backend::Native;
  /// "host", "baseline" or LLVM's name of a CPU. Code for AArch64 runs on every such CPU
  /// and is tuned for the one named.
  std::string targetCpu = "host";
  /// "x86_64-linux-gnu" or "aarch64-linux-gnu", for artefacts; this machine when empty.
  std::string targetTriple = {};
  /// O0: shapes and constants only. O1: also simplification and folding into weights. O2: also
  /// fusion. O3: also blocked layouts.
  int optLevel = 3;
  /// What native code computes products and convolutions of float32 in, where it has kernels for
  /// it; never lower than this says.
  Precision precision = Precision::Float32;
  /// Of Precision::Auto: what any output may be off by, as a share of its largest magnitude;
  /// PrecisionChoice::kMaxError when it is not given.
  std::optional<double> maxError = {};
  /// Of Precision::Auto and tuning: what is measured on, a value for each input; random numbers, as
  /// sampleInputs draws them, when empty.
  std::vector<AnyValue> samples = {};
  /// Of Precision::Auto: what Model::choosePrecision has come to. Without it compiling chooses.
  std::shared_ptr<const PrecisionChoice> choice = {};
  /// What constant weights of matrix products are kept as.
  WeightType weights = WeightType::Given;
  /// Whether convolutions of float32 may go by Winograd's algorithm.
  WinogradUse winograd = WinogradUse::Auto;
  /// Ops are computed in the ways that measured best on this machine, by what the cache folder
  /// keeps; what is not known yet is measured, on `samples`, for about so many seconds. 0: nothing
  /// is measured. Not given: the cost model alone chooses ways.
  std::optional<double> tuneSeconds = {};
  /// What Model::tune has come to. Without it compiling tunes where tuneSeconds asks for it.
  std::shared_ptr<const TuningChoice> tuning = {};
  /// Threads of the compiler; 0 is all CPUs this process may use. Tasks are sized
  /// for runs with as many.
  int threads = 0;
  /// A folder, made when it is missing, for the graph after each phase and for the
  /// kernels; none when empty.
  std::string dumpPhasesTo = {};
  /// Compiled kernels are kept in the cache folder (quern/CacheFolder.h), where other processes
  /// find them. Without it, and where the folder cannot be used, a process compiles its own.
  bool kernelCache = true;
  /// The deadline is that of the call: plans that are made later, for new sizes, have one of
  /// their own.
  Limits limits = {};

  /// The same within these limits.
  CompileOptions within(const Limits &bounds) const {
    CompileOptions result = *this;
    result.limits = bounds;
    return result;
  }
  /// The same, computed as the model says: in float32, with its weights, nothing tuned.
  CompileOptions asGiven() const {
    CompileOptions result = *this;
    result.precision = Precision::Float32;
    result.maxError.reset();
    result.choice.reset();
    result.weights = WeightType::Given;
    result.tuneSeconds.reset();
    result.tuning.reset();
    return result;
  }
  /// The same for the interpreter.
  CompileOptions interpreted() const {
    CompileOptions result = asGiven();
    result.backend = Backend::Interpreter;
    return result;
  }
};

/// Calls visit(text, member) for each option but the limits.
template <typename Visit> void visitCompileOptions(Visit &&visit) {
  using Options = CompileOptions;
  visit(OptionText{"backend", "--backend", "", "native (default) or interpreter",
                   OptionUse::Backends},
        &Options::backend);
  visit(OptionText{"threads", "--threads", "", "Threads of a run (default: all usable CPUs)",
                   OptionUse::Everywhere, 1, 4096},
        &Options::threads);
  visit(OptionText{"opt_level", "-O", "LEVEL", "Optimisation level, -O0 to -O3 (default -O3)",
                   OptionUse::Everywhere, 0, 3},
        &Options::optLevel);
  visit(OptionText{"precision", "--precision", "",
                   "What products and convolutions of float32 are computed in: f32 (default); "
                   "bf16, with sums in float32; or auto, which takes bf16 where it pays, as far as "
                   "--max-error allows",
                   OptionUse::Everywhere},
        &Options::precision);
  visit(OptionText{"max_error", "--max-error", "E",
                   "With --precision auto: the most that an output may be off by, as a share of "
                   "its largest magnitude (default 0.01)",
                   OptionUse::Everywhere},
        &Options::maxError);
  visit(OptionText{"weights", "--weights", "",
                   "What constant weights of matrix products are kept as: given (default), int8 "
                   "with a scale for each column, or int4 with one for each 32 along it",
                   OptionUse::Everywhere},
        &Options::weights);
  visit(
      OptionText{
          "winograd", "--winograd", "",
          "Whether convolutions by small filters in float32 go by Winograd's algorithm, whose "
          "rounding errors are larger: auto (default), where it is faster, or off",
          OptionUse::Everywhere},
      &Options::winograd);
  visit(OptionText{"tune_seconds", "--tune", "SECONDS",
                   "Computes ops in the ways that measured best on this machine, as quern tune "
                   "leaves them in the cache folder, and measures what is not known for at most "
                   "so long (0: nothing)",
                   OptionUse::Everywhere},
        &Options::tuneSeconds);
  visit(OptionText{"target_cpu", "--target-cpu", "CPU",
                   "host (default), baseline, or LLVM's name of a CPU"},
        &Options::targetCpu);
  visit(OptionText{"target", "--target", "TRIPLE",
                   "The machine compiled for: x86_64-linux-gnu or aarch64-linux-gnu (default: "
                   "this)",
                   OptionUse::Artifacts},
        &Options::targetTriple);
  visit(OptionText{"dump_phases_to", "--dump-phases-to", "DIR",
                   "Writes the graph after each phase to this folder"},
        &Options::dumpPhasesTo);
  visit(OptionText{"kernel_cache", "--no-kernel-cache", "",
                   "Neither finds compiled kernels in the cache folder nor leaves any there"},
        &Options::kernelCache);
}

} // namespace quern
