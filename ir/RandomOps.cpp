//===- RandomOps.cpp - rules of random numbers ----------------------------===//
#include "ir/RandomOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

InferredTypes RandomOp::inferResultTypes(const ShapeFacts &facts) {
  if (!getDtype().isF32() && !getDtype().isF64())
    return emitOpError("dtype must be f32 or f64, found ") << getDtype();
  if (failed(requireIndices(facts, *this, getShape(), "shape", /*maxRank=*/1)))
    return failure();
  if (std::optional<std::vector<int64_t>> sizes = facts.integersOf(getShape())) {
    if (llvm::any_of(*sizes, [](int64_t size) { return size < 0; }))
      return emitOpError("shape entries must not be negative, found ")
             << *llvm::min_element(*sizes);
    return rankedResult(*this, Shape::fromSizes(*sizes), getDtype());
  }
  if (std::optional<DimVector> sizes = facts.dimsIn(getShape()))
    return rankedResult(*this, Shape(*sizes), getDtype());
  std::optional<int64_t> rank = facts.lengthOf(getShape());
  return rank ? resultOfRank(*this, *rank, getDtype()) : unrankedResult(getDtype());
}

#define GET_OP_CLASSES
#include "ir/RandomOps.cpp.inc"

void NNDialect::registerRandomOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/RandomOps.cpp.inc"
      >();
}
