//===- TestProgram.cpp - an artefact with a program that tests it ---------===//
//
// A folder that needs no Quern: the object file and its header, inputs, what the interpreter
// gives for them, a program that compares, one that runs the model on files, a Makefile.
//
//===----------------------------------------------------------------------===//
#include "api/ModelState.h"
#include "backends/native/Compiler.h"
#include "backends/native/aot/AotPrograms.h"
#include "backends/native/aot/AotSizes.h"
#include "backends/native/aot/AotStaging.h"
#include "backends/native/target/Target.h"
#include "ir/Signature.h"
#include "passes/SpecializeInputs.h"
#include "quern/SampleInputs.h"
#include "quern/TensorDifference.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

using namespace quern;
namespace fs = std::filesystem;

/// Writes the tensors of a plan as files of bare elements.
static Status writeTensors(const native::Staging &folder, size_t plan, const char *kind,
                           std::span<const AnyValue> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    const Tensor *tensor = values[i].asTensor();
    if (!tensor)
      return internalError("a port of an artefact is no tensor");
    QUERN_TRY(folder.write(
        fmt::format("plan{}_{}{}.bin", plan, kind, i),
        {static_cast<const char *>(tensor->rawData()), static_cast<size_t>(tensor->numBytes())}));
  }
  return Status::ok();
}

Status Model::State::writeTestCases(const ArtifactOptions &artifact, const native::Staging &folder,
                                    const Limits &limits, std::vector<size_t> &plans) {
  QUERN_ASSIGN(nn::OwnedModule symbolic, copyModule());
  QUERN_ASSIGN(std::vector<native::PlannedSizes> sizes,
               native::planSizes(nn::findMain(*symbolic.module), artifact.listedSizes));
  plans = {0};
  if (sizes.size() > 1)
    plans.push_back(sizes.size() - 1);
  for (size_t plan : plans) {
    QUERN_ASSIGN(nn::OwnedModule copy, copyModule());
    if (!sizes.empty()) {
      const std::vector<Tensor::Dims> &dims = sizes[plan].inputDims;
      std::vector<std::optional<Tensor::Dims>> known(dims.begin(), dims.end());
      QUERN_TRY(passes::specializeInputs(nn::findMain(*copy.module), known));
    }
    QUERN_ASSIGN(std::unique_ptr<State> sized, create(std::move(copy), {}));
    QUERN_ASSIGN(std::vector<AnyValue> values, sampleInputs(sized->inputs, artifact.seed, limits));
    QUERN_TRY(writeTensors(folder, plan, "input", values));
    QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled,
                 compileForInterpreter(sized->source));
    QUERN_ASSIGN(std::unique_ptr<Runner> runner, compiled->createRunner({.limits = limits}));
    auto results = runner->run(values);
    if (!results)
      return results.status().withContext("interpreting the model on inputs that were drawn");
    QUERN_TRY(writeTensors(folder, plan, "output", *results));
  }
  return Status::ok();
}

Expected<Tolerance> Model::State::toleranceOn(const CompileOptions &options,
                                              std::span<const std::string> cpus) {
  bool hasBytes = options.weights != WeightType::Given;
  DType unrounded = DType::Undefined;
  for (const std::string &cpu : cpus) {
    CompileOptions of = options;
    of.targetCpu = cpu;
    QUERN_ASSIGN(nn::OwnedModule copy, copyModule());
    QUERN_ASSIGN(Explanation explanation, native::explainGraph(*copy.module, of));
    hasBytes |= explanation.multipliesBytes();
    unrounded = explanation.unroundedType(); // the same for all CPUs
  }
  return toleranceOf(options.precision, hasBytes, options.choice.get(), unrounded);
}

Status Model::State::fillTestFolder(const CompileOptions &options, const ArtifactOptions &artifact,
                                    const native::Staging &folder, ArtifactSummary &summary) {
  ArtifactOptions inner = artifact;
  inner.outputPath = folder.path("model.o");
  inner.headerPath = folder.path("model.h");
  inner.mainPath = folder.path("run.c");
  inner.prefix = artifact.prefix.empty() ? symbolPrefix(artifact.outputPath) : artifact.prefix;
  QUERN_TRY(writeArtifact(options, inner, summary));
  const std::vector<std::string> &libraries = summary.needed;
  if (std::ranges::find(libraries, "libquern_runtime.a") != libraries.end()) {
    QUERN_ASSIGN(native::Target machine, native::resolveTarget("baseline", options.targetTriple));
    if (artifact.runtimeArchive.empty() || !native::isThisMachine(machine))
      return unsupported("nodes of this model need reference kernels, and there is no "
                         "libquern_runtime.a for the machine compiled for");
    std::error_code error;
    fs::copy_file(artifact.runtimeArchive, folder.path("libquern_runtime.a"), error);
    if (error)
      return ioError(fmt::format("cannot write '{}': {}", artifact.outputPath, error.message()));
  }
  std::vector<size_t> plans;
  QUERN_TRY(writeTestCases(artifact, folder, options.limits, plans));
  QUERN_ASSIGN(Tolerance tolerance, toleranceOn(options, summary.targetCpus));
  native::ProgramFacts facts{.header = "#include \"model.h\"",
                             .prefix = inner.prefix,
                             .takesSizes = !artifact.listedSizes.empty(),
                             .weights = artifact.weightsInFile ? "model.weights" : ""};
  QUERN_TRY(folder.write("test.c", native::testProgramText(facts, plans,
                                                           {.relative = tolerance.relative,
                                                            .absolute = tolerance.absolute,
                                                            .ofLargest = tolerance.ofLargest})));
  return folder.write("Makefile", native::makefileText(libraries));
}

Status Model::State::writeTestFolder(const CompileOptions &options, const ArtifactOptions &artifact,
                                     ArtifactSummary &summary) {
  const std::string &target = artifact.outputPath;
  if (!artifact.headerPath.empty() || !artifact.mainPath.empty())
    return usageError("a .c-test has a header and a main program of its own");
  QUERN_TRY(native::checkProgramFolder(target));
  QUERN_ASSIGN(native::Staging folder, native::Staging::createForFolder(target));
  QUERN_TRY(folder.nameTarget(fillTestFolder(options, artifact, folder, summary)));
  return folder.publishFolder();
}
