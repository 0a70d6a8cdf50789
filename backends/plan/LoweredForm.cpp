//===- LoweredForm.cpp - what is the same of steps for other sizes --------===//
#include "backends/plan/LoweredForm.h"

#include "backends/plan/IndexData.h"

#include "llvm/ADT/STLExtras.h"

using namespace quern;
using namespace quern::plan;

template <typename List, typename Same> static bool agree(const List &a, const List &b, Same same) {
  return a.size() == b.size() &&
         llvm::all_of(llvm::zip(a, b), [&](auto pair) { return std::apply(same, pair); });
}

static bool haveSameKind(const StepBuffer &a, const StepBuffer &b) {
  return a.kind == b.kind && a.number == b.number && !a.pack == !b.pack;
}

static bool haveSameCode(const LoweredStep &a, const LoweredStep &b) {
  return a.kernel.key == b.kernel.key && a.overwritable == b.overwritable &&
         a.copiesWhole == b.copiesWhole;
}

/// Tables that are made for sizes are equal only where they are the same.
static bool areSameWeights(const StepBuffer &a, const StepBuffer &b) {
  if (a.pack)
    return !a.packKey.empty() && a.packKey == b.packKey;
  return haveSameElements(a.tensor, b.tensor);
}

bool plan::haveSameForm(const LoweredSteps &a, const LoweredSteps &b) {
  return agree(a, b, [](const LoweredStep &x, const LoweredStep &y) {
    return haveSameCode(x, y) &&
           agree(x.buffers, y.buffers, [](const StepBuffer &p, const StepBuffer &q) {
             return haveSameKind(p, q) && p.value == q.value &&
                    (p.kind != StepBuffer::Kind::Weights || areSameWeights(p, q));
           });
  });
}

static bool areAlike(const StepBuffer &a, const StepBuffer &b, const ValueMap &map) {
  if (!haveSameKind(a, b) || a.offset != b.offset)
    return false;
  switch (a.kind) {
  case StepBuffer::Kind::Value:
    return map.lookup(a.value) == b.value;
  case StepBuffer::Kind::Weights:
    return a.pack ? !a.packing.empty() && a.packing == b.packing
                  : haveSameElements(a.tensor, b.tensor);
  case StepBuffer::Kind::Scratch:
    return a.bytes.valid() && b.bytes.valid() && a.bytes.value() == b.bytes.value();
  case StepBuffer::Kind::Output:
    break;
  }
  return true;
}

bool plan::areLoweredAlike(const LoweredOp &a, const LoweredOp &b, const ValueMap &map) {
  return agree(a.steps, b.steps, [&](const LoweredStep &x, const LoweredStep &y) {
    return haveSameCode(x, y) && x.dims == y.dims && x.tasks == y.tasks && x.grain == y.grain &&
           x.scratchBytes == y.scratchBytes && x.share == y.share &&
           agree(x.buffers, y.buffers,
                 [&](const StepBuffer &p, const StepBuffer &q) { return areAlike(p, q, map); });
  });
}
