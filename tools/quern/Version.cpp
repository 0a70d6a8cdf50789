//===- Version.cpp - quern version ----------------------------------------===//
#include "quern/HostCpu.h"
#include "tools/quern/Options.h"

#include <CLI/CLI.hpp>
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
  HostCpu host = describeHostCpu();
  if (options.style.printsTable()) {
    std::string text = "quern " QUERN_VERSION "\nLLVM " + host.llvmVersion + "\n" + host.triple +
                       "\nCPU " + host.name + "\nfeatures";
    for (const std::string &feature : host.features)
      text += " " + feature;
    QUERN_TRY(printText(text + "\n"));
  }
  return writeJson({{"schema", "quern.version/1"},
                    {"version", QUERN_VERSION},
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
