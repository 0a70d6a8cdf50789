//===- AotHeader.cpp - the C header of an artefact ------------------------===//
#include "backends/native/aot/AotHeader.h"

#include "backends/native/aot/ModelAbiText.inc"
#include "quern/model_abi.h"

#include "llvm/ADT/StringExtras.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::native;

/// A C string literal. Names come from the model file: any byte may occur.
static std::string literal(const std::string &value) {
  std::string text = "\"";
  for (char c : value) {
    if (llvm::isAlnum(c) || llvm::StringRef(" _-+*/.,:;()[]{}<>=#$@|~").contains(c)) {
      text += c;
      continue;
    }
    // Three octal digits end the escape, whatever follows.
    auto byte = static_cast<unsigned char>(c);
    text += '\\';
    for (int shift : {6, 3, 0})
      text += static_cast<char>('0' + (byte >> shift & 7));
  }
  return text + '"';
}

static std::string define(const std::string &name, const std::string &value) {
  return "#define " + name + " " + value + "\n";
}

/// The macros of the inputs or outputs; `kind` is INPUT or OUTPUT.
static std::string portMacros(const std::string &prefix, const std::string &kind,
                              const std::vector<PlanPort> &ports) {
  std::string text = define(prefix + kind + "_COUNT", std::to_string(ports.size()));
  for (size_t i = 0; i < ports.size(); ++i) {
    const PlanPort &port = ports[i];
    std::string name = fmt::format("{}{}_{}_", prefix, kind, i);
    text += fmt::format("\n/* {} {} */\n", dtypeName(port.dtype), formatDims(port.dims));
    text += define(name + "NAME", literal(port.name));
    text += define(name + "DTYPE", std::to_string(static_cast<int>(port.dtype)));
    text += define(name + "BYTES", std::to_string(portBytes(port)));
    text += define(name + "RANK", std::to_string(port.dims.size()));
    // C has no empty initialisers: a scalar has no DIMS.
    if (!port.dims.empty())
      text += define(name + "DIMS",
                     "{" +
                         llvm::join(llvm::map_range(
                                        port.dims, [](int64_t dim) { return std::to_string(dim); }),
                                    ", ") +
                         "}");
  }
  return text + "\n";
}

static std::string declarations(const std::string &name) {
  return "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
         "int " +
         name +
         "_cpu_ok(void);\n"
         "int " +
         name +
         "_run(const void *const *inputs, void *const *outputs, "
         "void *workspace);\n"
         "int " +
         name +
         "_run_parallel(const void *const *inputs, void *const *outputs,\n"
         "    void *workspace, quern_parallel_for_fn parallel_for, void *context);\n"
         "const quern_model_info *" +
         name +
         "_info(void);\n\n"
         "#ifdef __cplusplus\n}\n#endif\n";
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
  text += portMacros(upper, "INPUT", artifact.anyModel().plan().inputs);
  text += portMacros(upper, "OUTPUT", artifact.anyModel().plan().outputs);
  return text + declarations(artifact.prefix) + "\n#endif\n";
}
