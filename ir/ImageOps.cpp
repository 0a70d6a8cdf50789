//===- ImageOps.cpp - rules of ops on image files -------------------------===//
#include "ir/ImageOps.h"
#include "ir/TypeRules.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::nn::detail;

InferredTypes ImageDecodeOp::inferResultTypes(const ShapeFacts &facts) {
  Type bytes = elementTypeOf(getInput());
  if (!bytes.isUnsignedInteger(8))
    return emitOpError("input must hold bytes, found ") << bytes;
  StringRef format = getPixelFormat();
  if (format != "RGB" && format != "BGR" && format != "Grayscale")
    return emitOpError("pixel_format must be RGB, BGR or Grayscale, found ") << format;
  std::optional<Shape> shape = facts.shapeOf(getInput());
  if (shape && shape->rank() != 1)
    return emitOpError("input must have rank 1, found ") << shape->rank();
  return rankedResult(*this, Shape({Dim(), Dim(), Dim(format == "Grayscale" ? 1 : 3)}), bytes);
}

#define GET_OP_CLASSES
#include "ir/ImageOps.cpp.inc"

void NNDialect::registerImageOps() {
  addOperations<
#define GET_OP_LIST
#include "ir/ImageOps.cpp.inc"
      >();
}
