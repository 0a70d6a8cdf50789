//===- LoweredStep.cpp - plan steps before buffers have addresses ---------===//
#include "backends/plan/LoweredStep.h"

using namespace quern;
using namespace quern::plan;

StepBuffer StepBuffer::packed(const nn::WeightSource &source, const std::string &how,
                              PackFunction pack) {
  StepBuffer b;
  b.kind = Kind::Weights;
  b.sourceBytes = source.numBytes();
  b.pack = [source, pack = std::move(pack)]() -> Expected<Tensor> {
    Expected<Tensor> result = internalError("not packed");
    {
      QUERN_ASSIGN(Tensor view, source.view());
      result = pack(view, [&](int64_t begin, int64_t end) { source.release(begin, end); });
    }
    source.release();
    return result;
  };
  b.packKey = source.key() + ":" + how;
  b.packing = how;
  return b;
}

void plan::setShares(LoweredSteps &steps, size_t first, double share) {
  for (size_t i = first; i < steps.size(); ++i)
    steps[i].share = share;
}
