//===- Against.cpp - other inference systems in quern compare -------------===//
#include "tools/quern/Against.h"

#include "quern/Benchmark.h"
#include "quern/Progress.h"
#include "tools/quern/Peer.h"
#include "tools/quern/Stages.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

static Expected<PeerComparison> compareWith(const std::string &system,
                                            const AgainstOptions &options, Runner &native,
                                            std::span<const AnyValue> inputs,
                                            std::span<const AnyValue> wanted, double seconds) {
  constexpr int kTurns = 5;
  QUERN_ASSIGN(Peer peer, Peer::start(system, options.modelPath, options.inputPorts, inputs,
                                      native.threads()));
  PeerComparison result{.system = peer.name(), .loadMs = peer.loadMs()};
  SampleSet theirs, ours, ratios;
  for (int turn = 0; turn < kTurns; ++turn) {
    QUERN_TRY(ProgressScope::check(fmt::format("{}: turn {}", peer.name(), turn + 1)));
    double share = seconds / kTurns / 2;
    QUERN_ASSIGN(Benchmark runs, benchmark(native, inputs, {.seconds = share, .warmup = 0}));
    QUERN_ASSIGN(double theirMs, peer.takeTurn(share));
    double ourMs = runs.steady.p50;
    ours.add(ourMs);
    theirs.add(theirMs);
    ratios.add(theirMs / std::max(ourMs, 1e-9));
  }
  result.peerMs = theirs.summarize().p50;
  result.nativeMs = ours.summarize().p50;
  result.ratio = ratios.summarize().p50;
  QUERN_ASSIGN(std::vector<AnyValue> found, peer.outputs(options.outputPorts));
  for (size_t i = 0; i < wanted.size(); ++i)
    result.outputs.push_back(
        {options.outputPorts[i].name, compareValues(wanted[i], found[i], options.tolerance)});
  return result;
}

Expected<std::vector<PeerComparison>> cli::compareWithPeers(const AgainstOptions &options,
                                                            Runner &interpreter, Runner &native,
                                                            std::span<const AnyValue> inputs) {
  std::vector<AnyValue> wanted(interpreter.outputs().size());
  QUERN_TRY(interpreter.run(inputs, wanted));
  std::vector<PeerComparison> results;
  for (const std::string &system : options.systems) {
    Expected<PeerComparison> result =
        compareWith(system, options, native, inputs, wanted,
                    options.seconds / static_cast<double>(options.systems.size()));
    if (!result && result.status().code() == StatusCode::Cancelled)
      return result.status();
    results.push_back(result ? result.take()
                             : PeerComparison{.system = system, .refusal = result.status()});
  }
  return results;
}

std::string cli::describePeers(const std::vector<PeerComparison> &peers) {
  Table table({"system", "median ms", "native ms", "x native", "load ms", "max abs error", ""});
  for (const PeerComparison &peer : peers) {
    if (!peer.refusal.isOk()) {
      table.addRow({peer.system, "-", "-", "-", "-", "-", "does not run"});
      continue;
    }
    double worst = 0;
    bool passes = true;
    for (const OutputComparison &output : peer.outputs) {
      worst = std::max(worst, output.difference.maxAbsolute);
      passes &= output.difference.passes();
    }
    table.addRow({peer.system, fmt::format("{:.3f}", peer.peerMs),
                  fmt::format("{:.3f}", peer.nativeMs), fmt::format("{:.2f}", peer.ratio),
                  fmt::format("{:.1f}", peer.loadMs), fmt::format("{:.3g}", worst),
                  passes ? "pass" : "differs"});
  }
  return table.str();
}

Json cli::peersJson(const std::vector<PeerComparison> &peers) {
  Json result = Json::array();
  for (const PeerComparison &peer : peers)
    result.push_back({{"system", peer.system},
                      {"p50_ms", peer.peerMs},
                      {"native_p50_ms", peer.nativeMs},
                      {"ratio", peer.ratio},
                      {"load_ms", peer.loadMs},
                      {"refusal", peer.refusal.message()},
                      {"outputs", outputsJson(peer.outputs)}});
  return result;
}
