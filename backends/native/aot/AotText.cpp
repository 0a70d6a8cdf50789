//===- AotText.cpp - the code of an artefact to read ----------------------===//
//
// What the object files of an artefact are made from, joined as the linker joins them: the
// modules of a CPU become one in which its public functions alone are not internal; those
// of several CPUs and the choice among them become one the same way.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotText.h"

#include "backends/native/aot/AotDispatch.h"
#include "backends/native/aot/AotPlanCode.h"

#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::native;
using ModulePointer = std::unique_ptr<llvm::Module>;

static bool isIr(const std::string &path) { return llvm::sys::path::extension(path) == ".ll"; }

bool native::isTextFile(const std::string &path) {
  return isIr(path) || llvm::sys::path::extension(path) == ".s";
}

//===----------------------------------------------------------------------===//
// One module
//===----------------------------------------------------------------------===//

static Status link(llvm::Linker &linker, ModulePointer module) {
  return linker.linkInModule(std::move(module)) ? internalError("joining modules of LLVM failed")
                                                : Status::ok();
}

/// As localizeSymbols does with object files.
static void internalize(llvm::Module &module, const std::vector<std::string> &kept) {
  for (llvm::GlobalValue &value : module.global_values()) {
    if (value.isDeclaration() || value.hasLocalLinkage() ||
        llvm::is_contained(kept, value.getName().str()))
      continue;
    value.setLinkage(llvm::GlobalValue::InternalLinkage);
    value.setVisibility(llvm::GlobalValue::DefaultVisibility);
  }
}

/// The plans for one CPU with their kernels.
static Expected<ModulePointer> linkVariant(const AotVariant &variant, llvm::LLVMContext &context,
                                           llvm::TargetMachine &machine) {
  QUERN_ASSIGN(ModulePointer module, emitPlanCode(variant.model, context, machine));
  llvm::Linker linker(*module);
  for (const std::string &key : kernelKeys(*variant.graph)) {
    const CompiledKernel &kernel = variant.graph->kernels->get(key);
    llvm::StringRef bytes(kernel.bitcode.data(), kernel.bitcode.size());
    auto parsed = llvm::parseBitcodeFile({bytes, kernel.symbol}, context);
    if (!parsed)
      return internalError(kernel.symbol + ": " + llvm::toString(parsed.takeError()));
    QUERN_TRY(link(linker, std::move(*parsed)));
  }
  internalize(*module, publicSymbols(variant.model.prefix, variant.model.functions()));
  return module;
}

static Expected<ModulePointer> linkVariants(const AotArtifact &artifact, llvm::LLVMContext &context,
                                            llvm::TargetMachine &machine) {
  const ModelFunctions functions = artifact.functions();
  if (artifact.variants.size() == 1)
    return linkVariant(artifact.variants.front(), context, machine);
  std::vector<std::string> prefixes;
  for (const AotVariant &variant : artifact.variants)
    prefixes.push_back(variant.model.prefix);
  QUERN_ASSIGN(ModulePointer module,
               emitDispatch(artifact.prefix, prefixes, functions, context, machine));
  llvm::Linker linker(*module);
  for (const AotVariant &variant : artifact.variants) {
    QUERN_ASSIGN(ModulePointer linked, linkVariant(variant, context, machine));
    QUERN_TRY(link(linker, std::move(linked)));
  }
  internalize(*module, publicSymbols(artifact.prefix, functions));
  return module;
}

//===----------------------------------------------------------------------===//
// The text
//===----------------------------------------------------------------------===//

/// Lines of comment that a reader must know.
static std::vector<std::string> introduction(const AotArtifact &artifact,
                                             const std::vector<std::string> &libraries) {
  std::vector<std::string> lines;
  std::string cpus;
  for (const AotVariant &variant : artifact.variants)
    cpus += (cpus.empty() ? "" : ", ") + variant.model.target.cpu;
  lines.push_back(
      fmt::format("Code of a model, by `quern compile`, for {}. Functions for its users "
                  "begin with {}_;",
                  cpus, artifact.prefix));
  lines.push_back("the header that --header writes describes them.");
  if (!libraries.empty())
    lines.push_back("To be linked with " + fmt::format("{}", fmt::join(libraries, " ")) + ".");
  for (const auto &[model, graph] : artifact.variants)
    if (model.weights.bytes > 0 && !model.inFile)
      lines.push_back(fmt::format("{} stands for {} bytes of weights, which are no part of this "
                                  "text.",
                                  weightsSymbol(model), model.weights.bytes));
  if (lines.size() > 2 && lines.back().ends_with("text.")) {
    lines.push_back("An object file of the same model has them, in its section .rodata.quern:");
    lines.push_back("`objcopy -j .rodata.quern model.o weights.o` takes them from there. With");
    lines.push_back("--weights=file they are a file beside this one, and no symbol.");
  }
  return lines;
}

static Expected<std::string> textOf(const AotArtifact &artifact, bool ir) {
  QUERN_ASSIGN(Target baseline, resolveTarget("baseline", artifact.target().triple));
  QUERN_ASSIGN(auto machine, createTargetMachine(baseline));
  llvm::LLVMContext context;
  QUERN_ASSIGN(ModulePointer module, linkVariants(artifact, context, *machine));
  module->setModuleIdentifier(artifact.prefix);
  module->setSourceFileName(artifact.prefix);
  if (ir) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module->print(stream, nullptr);
    return text;
  }
  QUERN_ASSIGN(ObjectCode assembly, emitAssembly(*module, *machine));
  return std::string(assembly.begin(), assembly.end());
}

Status native::writeText(const AotArtifact &artifact, const std::string &path,
                         const Staging &staging) {
  QUERN_ASSIGN(std::vector<std::string> libraries, neededLibraries(artifact, staging));
  QUERN_ASSIGN(std::string code, textOf(artifact, isIr(path)));
  std::string text;
  // Assemblers differ in what begins a comment; all know that of C.
  for (const std::string &line : introduction(artifact, libraries))
    text += isIr(path) ? "; " + line + "\n" : "/* " + line + " */\n";
  QUERN_TRY(staging.write("model.text", text + code));
  return staging.publish("model.text");
}
