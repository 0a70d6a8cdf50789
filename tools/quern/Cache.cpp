//===- Cache.cpp - quern cache --------------------------------------------===//
#include "quern/CacheFolder.h"
#include "tools/quern/Options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;

namespace {
struct CacheOptions {
  bool clear = false;
  OutputStyle style;
};
} // namespace

static void addOptions(CLI::App &verb, CacheOptions &options) {
  verb.add_flag("--clear", options.clear, "Removes what is there");
}

static std::string describe(const std::string &folder, const CacheUse &use, bool cleared) {
  auto row = [&](const char *what, int64_t number, int64_t bytes) {
    return fmt::format("{:<10} {}{}, {}\n", what, number, cleared ? " removed" : "",
                       formatBytes(bytes));
  };
  return fmt::format("{:<10} {}\n", "folder", folder) +
         row("kernels", use.kernels, use.kernelBytes) +
         row("tuning", use.tunings, use.tuningBytes) +
         row("artefacts", use.artefacts, use.artefactBytes);
}

static Status execute(const CacheOptions &options) {
  FileGuard guard;
  QUERN_TRY(checkJsonWritable(options.style, guard));
  std::string folder = cacheFolder();
  CacheUse use = cacheUse(folder);
  if (options.clear) {
    QUERN_ASSIGN(use, clearCache(folder));
  }
  if (Status status = kernelFolder().status(); !status.isOk())
    note(options.style, "no kernels are kept: " + status.message());
  if (options.style.printsTable())
    QUERN_TRY(printText(describe(folder, use, options.clear)));
  return writeJson({{"schema", "quern.cache/1"},
                    {"folder", folder},
                    {"kernels", use.kernels},
                    {"kernel_bytes", use.kernelBytes},
                    {"tuning_files", use.tunings},
                    {"tuning_bytes", use.tuningBytes},
                    {"artefacts", use.artefacts},
                    {"artefact_bytes", use.artefactBytes},
                    {"cleared", options.clear}},
                   options.style);
}

void cli::addCacheVerb(CLI::App &app, Command &command) {
  addVerb<CacheOptions>(app, command, "cache",
                        "Shows or clears what is kept between runs: kernels, tuning and artefacts",
                        addOptions, execute);
}
