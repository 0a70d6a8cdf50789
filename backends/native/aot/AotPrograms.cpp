//===- AotPrograms.cpp - C programs that run an artefact ------------------===//
//
// Their code is in programs/, as C, and reads all it needs from the model's own tables.
//
//===----------------------------------------------------------------------===//
#include "backends/native/aot/AotPrograms.h"

#include "backends/native/aot/AotHeader.h"
#include "backends/native/aot/AotProgramTexts.inc"

#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace quern;
using namespace quern::native;

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
                                    double relative, double absolute) {
  return begin(facts) +
         fmt::format("#define MODEL_TESTED_PLANS {{{}}}\n#define MODEL_RELATIVE {}\n"
                     "#define MODEL_ABSOLUTE {}\n\n",
                     fmt::join(plans, ", "), relative, absolute) +
         kTestText;
}
