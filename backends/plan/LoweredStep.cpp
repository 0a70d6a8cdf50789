//===- LoweredStep.cpp - plan steps before buffers have addresses ---------===//
#include "backends/plan/LoweredStep.h"

using namespace quern;
using namespace quern::plan;

StepBuffer StepBuffer::packed(const Tensor &source, const std::string &how,
                              std::function<Expected<Tensor>(const Tensor &)> pack) {
  StepBuffer b;
  b.kind = Kind::Weights;
  b.tensor = source;
  b.pack = [source, pack = std::move(pack)] { return pack(source); };
  // Small ones are packed again rather than kept.
  constexpr int64_t kAlwaysRepackBytes = 4096;
  if (source.numBytes() > kAlwaysRepackBytes)
    b.packKey = std::to_string(reinterpret_cast<uintptr_t>(source.rawData())) + ":" +
                source.describe() + ":" + how;
  return b;
}
