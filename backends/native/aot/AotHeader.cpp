//===- AotHeader.cpp - the C header of an artefact ------------------------===//
#include "backends/native/aot/AotHeader.h"

#include "backends/native/aot/ModelAbiText.inc"
#include "quern/EscapedText.h"
#include "quern/model_abi.h"

#include "llvm/ADT/StringExtras.h"

#include <fmt/ranges.h>

using namespace quern;
using namespace quern::native;

std::string native::cLiteral(const std::string &value) {
  return '"' + escapeText(value, TextPlace::CString) + '"';
}

static std::string define(const std::string &name, const std::string &value) {
  return "#define " + name + " " + value + "\n";
}

/// "{1, 8, 32}".
static std::string initializer(const std::vector<int64_t> &numbers) {
  return fmt::format("{{{}}}", fmt::join(numbers, ", "));
}

/// "1x3xN", for a comment.
static std::string describeDims(const ArtifactPort &port) {
  std::vector<PortDim> dims;
  for (size_t d = 0; d < port.dims.size(); ++d)
    dims.push_back(port.dims[d] < 0 ? PortDim::symbol(port.dimNames[d]) : PortDim(port.dims[d]));
  return escapeText(PortShape(dims).str(), TextPlace::CComment);
}

/// The macros of the sizes that runs take; none when all are fixed.
static std::string sizeMacros(const std::string &prefix, const std::vector<ListedSize> &sizes) {
  std::string text;
  if (!sizes.empty())
    text += define(prefix + "SIZE_COUNT", std::to_string(sizes.size()));
  for (size_t i = 0; i < sizes.size(); ++i) {
    std::string name = fmt::format("{}SIZE_{}_", prefix, i);
    text += define(name + "NAME", cLiteral(sizes[i].name));
    text += define(name + "COUNT", std::to_string(sizes[i].sizes.size()));
    text += define(name + "VALUES", initializer(sizes[i].sizes));
  }
  return text;
}

/// The macros of the inputs or outputs; `kind` is INPUT or OUTPUT.
static std::string portMacros(const std::string &prefix, const std::string &kind,
                              const std::vector<ArtifactPort> &ports) {
  std::string text = define(prefix + kind + "_COUNT", std::to_string(ports.size()));
  for (size_t i = 0; i < ports.size(); ++i) {
    const ArtifactPort &port = ports[i];
    std::string name = fmt::format("{}{}_{}_", prefix, kind, i);
    text += fmt::format("\n/* {} {} */\n", dtypeName(port.dtype), describeDims(port));
    text += define(name + "NAME", cLiteral(port.name));
    text += define(name + "DTYPE", std::to_string(static_cast<int>(port.dtype)));
    text += define(name + "BYTES", std::to_string(port.bytes));
    text += define(name + "RANK", std::to_string(port.dims.size()));
    // C has no empty initialisers: a scalar has no DIMS.
    if (!port.dims.empty())
      text += define(name + "DIMS", initializer(port.dims));
  }
  return text + "\n";
}

static std::string declarations(const std::string &name, const ModelFunctions &functions) {
  std::string sizes = functions.takeSizes ? "const int64_t *sizes, " : "";
  std::string use;
  if (functions.useWeights)
    use += "int " + name + "_use_weights(const void *data, int64_t bytes);\n";
  if (functions.useRandom)
    use += "int " + name + "_use_random(quern_random_fn random, void *context);\n";
  return "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
         "int " +
         name +
         "_cpu_ok(void);\n"
         "int " +
         name + "_run(" + sizes +
         "const void *const *inputs, void *const *outputs, "
         "void *workspace);\n"
         "int " +
         name + "_run_parallel(" + sizes +
         "const void *const *inputs, void *const *outputs,\n"
         "    void *workspace, quern_parallel_for_fn parallel_for, void *context);\n"
         "const quern_model_info *" +
         name + "_info(void);\n" + use + "\n#ifdef __cplusplus\n}\n#endif\n";
}

std::string native::headerText(const AotArtifact &artifact,
                               const std::vector<std::string> &libraries) {
  std::string upper = llvm::StringRef(artifact.prefix).upper() + "_";
  std::string guard = "QUERN_MODEL_HEADER_" + upper;
  std::string text = "/* Written by `quern compile`. The functions are described below, at "
                     "QUERN_MODEL_ABI_H,\n * with " +
                     artifact.prefix + " in place of m.";
  if (!libraries.empty())
    text += "\n * Object files and archives of this model are linked with " +
            llvm::join(libraries, " ") + ".";
  text += " */\n#ifndef " + guard + "\n#define " + guard + "\n\n";
  text += kModelAbiText;
  text += fmt::format("\n#if QUERN_MODEL_ABI_VERSION != {}\n"
                      "#error \"headers of models compiled by different versions of Quern\"\n"
                      "#endif\n\n",
                      QUERN_MODEL_ABI_VERSION);
  text += define(upper + "WORKSPACE_BYTES", std::to_string(artifact.workspace()));
  text += define(upper + "WORKER_BYTES", std::to_string(artifact.workerScratch()));
  const AotModel &model = artifact.anyModel();
  text +=
      define(upper + "PRECISION", cLiteral(std::string(precisionName(model.interface.precision))));
  if (artifact.weightsInFile())
    text += define(upper + "WEIGHTS_BYTES", std::to_string(model.inFile->fileBytes));
  ArtifactPorts ports = artifactPorts(model.plans, model.interface);
  text += sizeMacros(upper, model.interface.sizes);
  text += portMacros(upper, "INPUT", ports.inputs);
  text += portMacros(upper, "OUTPUT", ports.outputs);
  return text + declarations(artifact.prefix, artifact.functions()) + "\n#endif\n";
}
