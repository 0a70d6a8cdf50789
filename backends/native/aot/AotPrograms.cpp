//===- AotPrograms.cpp - C programs that run an artefact ------------------===//
//
// Their code is in programs/, as C, and reads all it needs from the model's own tables; so is the
// Makefile of a folder of them.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotPrograms.h"

#include "backends/native/aot/AotHeader.h"
#include "backends/native/aot/AotProgramTexts.inc"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

using namespace quern;
using namespace quern::native;
namespace fs = std::filesystem;

static std::string begin(const ProgramFacts &facts) {
  std::string text = "/* Written by `quern compile`. C99, and nothing but the C library. */\n" +
                     facts.header + "\n";
  for (const char *name : {"info", "cpu_ok", "run"})
    text += fmt::format("#define model_{} {}_{}\n", name, facts.prefix, name);
  if (facts.takesSizes)
    text += "#define MODEL_TAKES_SIZES\n";
  if (!facts.weights.empty())
    text += fmt::format("#define model_use_weights {}_use_weights\n#define MODEL_WEIGHTS {}\n",
                        facts.prefix, cLiteral(facts.weights));
  return text + "\n" + kCommonText + "\n";
}

std::string native::runProgramText(const ProgramFacts &facts) { return begin(facts) + kRunText; }

std::string native::testProgramText(const ProgramFacts &facts, std::span<const size_t> plans,
                                    const ProgramTolerance &tolerance) {
  return begin(facts) +
         fmt::format("#define MODEL_TESTED_PLANS {{{}}}\n#define MODEL_RELATIVE {}\n"
                     "#define MODEL_ABSOLUTE {}\n#define MODEL_OF_LARGEST {}\n\n",
                     fmt::join(plans, ", "), tolerance.relative, tolerance.absolute,
                     tolerance.ofLargest) +
         kTestText;
}

//===----------------------------------------------------------------------===//
// A folder of them
//===----------------------------------------------------------------------===//

std::string native::makefileText(std::span<const std::string> libraries) {
  std::string text = kMakefileText;
  std::string_view place = "\nLIBS =";
  text.insert(text.find(place) + place.size(),
              fmt::format("{}{}", libraries.empty() ? "" : " ", fmt::join(libraries, " ")));
  return text;
}

/// What the Makefile begins with: a folder whose Makefile does may be replaced.
static std::string_view firstLine(std::string_view text) { return text.substr(0, text.find('\n')); }

/// Whether a file of such a folder is one that quern compile or its Makefile writes.
static bool isOwnFile(const std::string &name) {
  static constexpr std::string_view kNames[] = {"Makefile",      "model.o", "model.h",
                                                "model.weights", "run.c",   "test.c",
                                                "run",           "test",    "libquern_runtime.a"};
  return std::ranges::find(kNames, name) != std::end(kNames) ||
         (name.starts_with("plan") && name.ends_with(".bin"));
}

Status native::checkProgramFolder(const std::string &target) {
  std::error_code error;
  if (!fs::exists(target, error))
    return Status::ok();
  std::ifstream file(target + "/Makefile");
  std::string line;
  if (!std::getline(file, line) || line != firstLine(kMakefileText))
    return ioError(fmt::format(
        "cannot write '{}': it is there, and no folder that quern compile has written", target));
  for (fs::directory_iterator entry(target, error), end; !error && entry != end;
       entry.increment(error))
    if (std::string name = entry->path().filename(); !isOwnFile(name))
      return ioError(fmt::format("cannot write '{}': it has a file that quern compile did not "
                                 "write, '{}'",
                                 target, name));
  return Status::ok();
}
