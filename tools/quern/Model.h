//===- Model.h - a model the verbs work on --------------------------------===//
//
// The one place where the command line meets MLIR; this header does not.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Executable.h"
#include "quern/Limits.h"
#include "quern/Session.h"

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// Sizes from --shape and --dim.
struct InputSizes {
  std::map<std::string, std::vector<int64_t>> shapes;
  std::map<std::string, int64_t> dims;
};

struct BackendOptions {
  std::string backend = "native";
  int threads = 0;
  int optLevel = 3;
  std::string targetCpu = "host";
  std::string dumpPhasesTo;
  bool profile = false;
};

/// A model that is ready to run with one backend.
class Runner {
public:
  virtual ~Runner() = default;
  /// Tensors in `outputs` from an earlier run may be written in place.
  virtual Status run(std::span<const Tensor> inputs, std::vector<Tensor> &outputs) = 0;
  virtual int threads() const = 0;
  /// With BackendOptions::profile: a row per step, summed over the runs.
  virtual std::vector<ProfileRow> profile() const = 0;
  virtual void clearProfile() = 0;
};

/// A plan step, for `quern check`.
struct StepSummary {
  std::string nodes;
  std::string kernel;
  bool native = false;
  /// Why it is not native.
  std::string refusal;
  /// Whether it is native depends on sizes that are not known.
  bool needsSizes = false;
};

struct ArtifactOptions {
  std::string outputPath;
  std::string headerPath;
  std::string prefix;
};

/// The prefix of an artefact's symbols when none is given: from its name.
std::string defaultPrefix(const ArtifactOptions &artifact);

class Model {
public:
  /// Reads and imports the file, and gives its inputs the sizes asked for. `limits`
  /// are those of all that is done with the model.
  static Expected<Model> load(const std::string &path, const InputSizes &sizes,
                              const Limits &limits = {});
  Model(Model &&) noexcept;
  Model &operator=(Model &&) noexcept;
  ~Model();

  const std::vector<PortSignature> &inputs() const { return inputPorts; }
  const std::vector<PortSignature> &outputs() const { return outputPorts; }

  /// Compiles, for these inputs, as far as the backend does before a run.
  Expected<std::unique_ptr<Runner>> prepare(const BackendOptions &options,
                                            std::span<const Tensor> inputs) const;
  /// The steps of the native plan for these input dims.
  Expected<std::vector<StepSummary>> planSteps(const BackendOptions &options,
                                               std::span<const Tensor::Dims> inputDims) const;
  /// What is known of the model's ops, each as a step, while sizes of its inputs
  /// are not. An error does not depend on them.
  Expected<std::vector<StepSummary>> checkWithoutSizes(const BackendOptions &options) const;
  /// Writes a .so, .o or .a file and a header.
  Status compileToArtifact(const BackendOptions &options, const ArtifactOptions &artifact) const;
  /// The IR or assembly after a phase.
  Expected<std::string> textOfPhase(const BackendOptions &options, const std::string &phase) const;

private:
  struct State;
  explicit Model(std::unique_ptr<State> state);
  Expected<std::unique_ptr<Runner>> prepareNative(const BackendOptions &options,
                                                  std::span<const Tensor> inputs) const;
  Expected<std::unique_ptr<Runner>> prepareInterpreter(const BackendOptions &options) const;

  std::unique_ptr<State> state;
  std::vector<PortSignature> inputPorts;
  std::vector<PortSignature> outputPorts;
};

} // namespace quern::cli
