//===- TuningChoice.h - which ways of computing ops measured best ---------===//
#pragma once

#include <limits>
#include <map>
#include <string>
#include <vector>

namespace quern {

/// One of the ways of computing a problem.
struct TunedWay {
  /// "winograd4", "packed ahead".
  std::string name;
  /// By the cost model, one op.
  double expectedNs = 0;
  /// The fastest run of all ops that are this problem; NaN when it was not measured.
  double measuredNs = std::numeric_limits<double>::quiet_NaN();
};

/// An op with its attributes, and the types and sizes of what it works on: all such ops of a model.
struct TunedProblem {
  /// What stands for it: 32 digits.
  std::string problem;
  /// "nn.conv".
  std::string op;
  /// The steps that compute it, as profiles call them.
  std::vector<std::string> nodes;
  /// Those that can, and that the cost model does not rule out; the first is the one that it takes.
  std::vector<TunedWay> ways;
  /// One of them.
  std::string chosen;
  /// It was measured before, by whatever process.
  bool wasKnown = false;
};

/// What measuring has come to.
struct TuningChoice {
  /// Of the model those that may be computed in several ways, in its order.
  std::vector<TunedProblem> problems;
  /// The way of each problem that is known on this machine, other models' too.
  std::map<std::string, std::string> ways;
  /// Medians of whole runs, in turns: with the ways of the cost model, and with those that measured
  /// best. 0 where these are the same, or were compared before.
  double beforeMs = 0, afterMs = 0;
  /// Why the model keeps the ways of the cost model though others measured better; else empty.
  std::string refusal;
  /// Why what was measured before is not believed, or what is measured now is not kept; else empty.
  std::string trouble;
  /// How long all of it took.
  double seconds = 0;
};

} // namespace quern
