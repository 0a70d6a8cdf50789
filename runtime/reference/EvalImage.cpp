//===- EvalImage.cpp - reference kernels of ops on image files ------------===//
#include "quern/CheckedSize.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/ImageCodecs.h"

#include <algorithm>

using namespace quern;
using namespace quern::reference;

/// What a pixel costs, in units of the budget: JPEG 2000 is slow.
static constexpr int64_t kPixelWork = 100;

static Expected<std::vector<Tensor>> evalImageDecode(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  if (input.dtype() != DType::UInt8 || input.rank() != 1)
    return invalidInput("the bytes of an image must be a vector, found " + input.describe());
  std::string format = call.attributes.getString("pixel_format");
  bool isGray = format == "Grayscale";
  Tensor pixels;
  auto allocate = [&](int64_t width, int64_t height) -> Expected<uint8_t *> {
    // Codecs take memory of their own, of a few times this size, and cannot be stopped.
    CheckedSize count = CheckedSize(width) * CheckedSize(height);
    CheckedSize work = count * CheckedSize(kPixelWork);
    if (!work.valid())
      return resourceLimit("the size of the image overflows");
    QUERN_TRY(call.budget.require(work));
    QUERN_TRY(call.budget.spend(work.value()));
    QUERN_TRY(call.budget.scratch<uint32_t>(count).status());
    if (isGray) {
      QUERN_ASSIGN(pixels, call.budget.allocate(DType::UInt8, {height, width, 3}));
    } else {
      QUERN_ASSIGN(pixels, call.allocateResult(0, DType::UInt8, {height, width, 3}));
    }
    return pixels.mutableData<uint8_t>();
  };
  QUERN_TRY(call.budget.spend(input.numElements()));
  QUERN_TRY(decodeImage(input.elementsAs<uint8_t>(), allocate));
  uint8_t *rgb = pixels.mutableData<uint8_t>();
  int64_t count = pixels.dim(0) * pixels.dim(1);
  if (format == "BGR")
    for (int64_t i = 0; i < count; ++i)
      std::swap(rgb[3 * i], rgb[3 * i + 2]);
  if (!isGray)
    return std::vector<Tensor>{pixels};
  QUERN_ASSIGN(Tensor gray,
               call.allocateResult(0, DType::UInt8, {pixels.dim(0), pixels.dim(1), 1}));
  for (int64_t i = 0; i < count; ++i)
    gray.mutableData<uint8_t>()[i] = lumaOf(rgb + 3 * i);
  return std::vector<Tensor>{gray};
}

std::span<const EvaluatorRow> reference::imageEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.image_decode", evalImageDecode},
  };
  return rows;
}
