//===- Peer.h - another inference system beside this one ------------------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/PortSignature.h"
#include "quern/Statistics.h"

#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// The names that Peer::start takes.
std::vector<std::string> peerNames();

/// Runs the same model in a process of Python: $QUERN_PYTHON, else python3. It must have the
/// system's package.
class Peer {
public:
  /// Loads the model there and runs it once, on tensors by the names of `ports`. Unsupported for
  /// other inputs; Incompatible, with what to install, where there is no such Python or package,
  /// and with the system's own words where it refuses the model.
  static Expected<Peer> start(const std::string &system, const std::string &model,
                              std::span<const PortSignature> ports,
                              std::span<const AnyValue> inputs, int threads);
  Peer(Peer &&) noexcept;
  ~Peer();

  /// "onnxruntime 1.32.0".
  const std::string &name() const { return title; }
  double loadMs() const { return load; }
  /// Runs for so many seconds: the median run, in milliseconds.
  Expected<double> takeTurn(double seconds);
  /// Of the last run, by the names of the model's outputs; absent where it has none of the name.
  Expected<std::vector<AnyValue>> outputs(std::span<const PortSignature> ports);

private:
  struct Process;
  explicit Peer(std::unique_ptr<Process> process);
  std::unique_ptr<Process> process;
  std::string title;
  double load = 0;
};

} // namespace quern::cli
