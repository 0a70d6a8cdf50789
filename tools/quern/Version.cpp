//===- Version.cpp - quern version ----------------------------------------===//
#include "quern/Version.h"
#include "quern/HostCpu.h"
#include "tools/quern/Options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;

namespace {
struct VersionOptions {
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &, VersionOptions &) {}

static Status execute(const VersionOptions &options) {
  FileGuard guard;
  QUERN_TRY(checkJsonWritable(options.style, guard));
  HostCpu host = describeHostCpu();
  if (options.style.printsTable())
    QUERN_TRY(printText(fmt::format("quern {}\nLLVM {}\n{}\nCPU {}\nfeatures {}\n", versionString(),
                                    host.llvmVersion, host.triple, host.name,
                                    fmt::join(host.features, " "))));
  return writeJson({{"schema", "quern.version/1"},
                    {"version", versionString()},
                    {"llvm", host.llvmVersion},
                    {"triple", host.triple},
                    {"cpu", host.name},
                    {"features", host.features}},
                   options.style);
}

void cli::addVersionVerb(CLI::App &app, Command &command) {
  addVerb<VersionOptions>(app, command, "version", "Shows the versions and the CPU", addOptions,
                          execute);
}
