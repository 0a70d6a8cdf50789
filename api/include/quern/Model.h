//===- Model.h - models: loaded, compiled, looked into --------------------===//
//
// Model::load -> Model::compile -> CompiledModel::createRunner -> Runner::run.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/ArtifactOptions.h"
#include "quern/CompileOptions.h"
#include "quern/CompiledModel.h"
#include "quern/Explanation.h"
#include "quern/InputSizes.h"
#include "quern/KernelCode.h"
#include "quern/Limits.h"
#include "quern/ModelGraph.h"
#include "quern/WeightScan.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace quern {

/// A serialized ONNX model in memory.
struct ModelBytes {
  std::span<const std::byte> bytes = {};
  /// Stands for the file in messages.
  std::string name = "model";
  /// Keeps the bytes alive, for large weights stay there. Without an owner they are
  /// copied.
  std::shared_ptr<const void> owner = nullptr;
};

struct CompareOptions;
struct NodeComparison;

/// A model as it was loaded. Immutable; any number of threads may use one at once,
/// and what is made from it does not need it any more.
class Model {
public:
  /// Maps and imports an ONNX file, which must not shrink while the model, or what
  /// was made from it, lives; then gives its inputs the sizes asked for. `limits` are
  /// those of the call. Errors name the file: InvalidModel, Unsupported (all that is
  /// not supported at once), ResourceLimit, Io; InvalidInput for sizes that do not fit.
  static Expected<Model> load(const std::string &path, const InputSizes &sizes = {},
                              const Limits &limits = {});
  /// As above, from memory; external data is refused.
  static Expected<Model> load(const ModelBytes &model, const InputSizes &sizes = {},
                              const Limits &limits = {});
  Model(Model &&) noexcept;
  Model &operator=(Model &&) noexcept;
  ~Model();

  /// The names and types of inputs and outputs, with symbolic dimensions.
  const std::vector<PortSignature> &inputs() const;
  const std::vector<PortSignature> &outputs() const;

  /// The files that it is in: its own, then those with external data; none from memory.
  const std::vector<std::string> &files() const;

  /// The nodes in an order in which they can run.
  std::vector<ModelNode> graph() const;
  /// What is in the float32 weights of products and convolutions, each once, in the model's order.
  /// Reads all of them.
  std::vector<WeightFinding> scanWeights() const;
  /// Inputs that products and convolutions take as their weights, and the nodes that do.
  std::vector<std::pair<std::string, std::string>> inputsUsedAsWeights() const;

  /// Makes the model ready to run. Incompatible when this machine cannot run code
  /// for the target CPU.
  Expected<std::shared_ptr<const CompiledModel>> compile(const CompileOptions &options = {}) const;

  /// With Precision::Auto: which layers are computed in bfloat16. All that pay are, unless an
  /// output would be off by more than options.maxError of its largest magnitude on
  /// options.samples, or a row of scores (an output of one or two dims) would have its largest
  /// entry elsewhere; then they are ranked, by the error that each alone brings per time that it
  /// saves by the cost model, and as many of the first as the bound allows are. The same for the
  /// same inputs. `options` with this as its choice compile without choosing again. Any other
  /// precision is a usage error.
  Expected<std::shared_ptr<const PrecisionChoice>>
  choosePrecision(const CompileOptions &options) const;

  /// Measures, for about options.tuneSeconds, the ways of computing ops that the cost model cannot
  /// tell apart, on `options.samples` or random numbers, beginning with what the cache folder
  /// knows, where it leaves what it finds. Other ways than those of the cost model are taken only
  /// if whole runs are faster with them. `options` with this as its tuning compile without
  /// measuring again. Incompatible when this machine cannot run code for the target CPU, unless no
  /// time is given.
  Expected<std::shared_ptr<const TuningChoice>> tune(const CompileOptions &options) const;

  /// `options` with all that they leave to be chosen: choosePrecision, then tune. Their samples,
  /// which are of no use after that, or else random numbers of these dims, one entry per input,
  /// are what is measured on.
  Expected<CompileOptions> withChoice(const CompileOptions &options,
                                      std::span<const Tensor::Dims> inputDims = {}) const;

  /// The native plan that runs for these dims, one entry per input: its steps, what became of the
  /// model's nodes, and what was not done.
  Expected<Explanation> explainPlan(const CompileOptions &options,
                                    std::span<const Tensor::Dims> inputDims) const;
  /// What is known of that, each op counting as a step, while sizes of the inputs are not. An
  /// error does not depend on them.
  Expected<Explanation> explainWithoutSizes(const CompileOptions &options) const;
  /// The machine code of the step that computes `node` in that plan: the step's kernels, each once.
  /// Usage, with the reason, where no kernel computes it.
  Expected<std::vector<KernelCode>> codeOfNode(const CompileOptions &options,
                                               std::span<const Tensor::Dims> inputDims,
                                               const std::string &node) const;
  /// The IR or assembly after a phase: "imported", "simplified", "laid-out", "fused",
  /// "kernels", "llvm", "object".
  Expected<std::string> textOfPhase(const CompileOptions &options, const std::string &phase) const;
  /// Writes a library, object file or archive with the interface of quern/model_abi.h.
  /// The files appear complete, or not at all. Unsupported, with all of them named,
  /// for inputs and outputs of unknown size and nodes that need one. `summary`, unless null, is
  /// filled.
  Status compileToArtifact(const CompileOptions &options, const ArtifactOptions &artifact,
                           ArtifactSummary *summary = nullptr) const;

private:
  /// `options` with a choice of precisions, where they need one, on their samples.
  Expected<CompileOptions> withPrecision(const CompileOptions &options) const;
  Expected<CompileOptions> withChoiceFor(const CompileOptions &options,
                                         const ArtifactOptions &artifact) const;

  friend Expected<NodeComparison> compareNodes(const Model &, std::span<const AnyValue>,
                                               const CompileOptions &, const RunnerOptions &,
                                               const CompareOptions &);
  struct State;
  explicit Model(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

/// A C identifier made from the name of an artefact: "out/my-model.so" gives
/// "my_model".
std::string symbolPrefix(const std::string &outputPath);

} // namespace quern
