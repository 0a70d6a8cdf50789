//===- Against.h - other inference systems in quern compare ---------------===//
#pragma once

#include "quern/Compare.h"
#include "tools/quern/Console.h"

#include <nlohmann/json.hpp>

namespace quern::cli {

/// What another system does with the same model and inputs.
struct PeerComparison {
  /// "onnxruntime 1.32.0".
  std::string system;
  double loadMs = 0;
  /// Medians, by turns: of the other's runs, of native code's, and of the other's over native
  /// code's.
  double peerMs = 0, nativeMs = 0, ratio = 0;
  /// Against the interpreter.
  std::vector<OutputComparison> outputs = {};
  /// Why there is nothing of all this.
  Status refusal = {};
};

struct AgainstOptions {
  std::vector<std::string> systems;
  std::string modelPath;
  std::span<const PortSignature> inputPorts, outputPorts;
  Tolerance tolerance;
  double seconds = 2;
};

/// Each system in turn with `native`, and its results against those of `interpreter`.
Expected<std::vector<PeerComparison>> compareWithPeers(const AgainstOptions &options,
                                                       Runner &interpreter, Runner &native,
                                                       std::span<const AnyValue> inputs);

std::string describePeers(const std::vector<PeerComparison> &peers);
nlohmann::ordered_json peersJson(const std::vector<PeerComparison> &peers);

} // namespace quern::cli
