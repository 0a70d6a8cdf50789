//===- StepCost.h - what the problem of a step demands --------------------===//
#pragma once

#include <string_view>

namespace quern {

/// What the products of a step are of: processors have units, and peaks, for each. Whatever does
/// not multiply narrow numbers counts as float32.
enum class Engine { Float32, BFloat16, Int8 };

/// "float32", "bfloat16", "int8".
constexpr std::string_view engineName(Engine engine) {
  return engine == Engine::Float32 ? "float32" : engine == Engine::BFloat16 ? "bfloat16" : "int8";
}

/// Operations a second, in units of 10^9, by what is multiplied; 0 where nothing was measured.
struct EnginePeaks {
  double float32 = 0, bfloat16 = 0, int8 = 0;

  double of(Engine engine) const {
    return engine == Engine::Float32 ? float32 : engine == Engine::BFloat16 ? bfloat16 : int8;
  }
};

/// What a step must do at least, whatever kernel does it (docs/costs.md); what a kernel does beyond
/// it is its overhead. Numbers of 0 where nothing is known.
struct StepCost {
  /// Operations on elements, of floats and of integers alike; a multiply-add is two.
  double flops = 0;
  /// Bytes of operands, each of which is read once.
  double bytesRead = 0;
  /// Bytes of results, each of which is written once.
  double bytesWritten = 0;
  Engine engine = Engine::Float32;

  double bytes() const { return bytesRead + bytesWritten; }
  /// Of a part of the problem.
  StepCost operator*(double share) const {
    return {flops * share, bytesRead * share, bytesWritten * share, engine};
  }
};

} // namespace quern
