//===- ImageTest.cpp - the kernel that decodes image files ----------------===//
#include "tests/reference/KernelCall.h"

using namespace quern;
using namespace quern::reference;
using Bytes = std::vector<uint8_t>;

namespace {
Expected<std::vector<Tensor>> decode(const Bytes &file, const char *format = "RGB",
                                     const Limits &limits = {}) {
  return evaluateAll(
      "nn.image_decode", {Tensor::of<uint8_t>({static_cast<int64_t>(file.size())}, file)},
      makeAttributes({{"pixel_format", std::string(format)}}), {DType::UInt8}, limits);
}

Bytes bytesOf(std::string_view text) { return {text.begin(), text.end()}; }

/// A color map of 2 x 1 pixels.
Bytes colorMap() {
  Bytes file = bytesOf("P6\n# two\n2 1\n255\n");
  file.insert(file.end(), {255, 0, 0, 1, 2, 3});
  return file;
}

/// 1 x 2 pixels of 24 bits; rows end at multiples of 4 bytes and go up.
Bytes bitmap() {
  Bytes file(54 + 8);
  file[0] = 'B', file[1] = 'M', file[10] = 54, file[14] = 40, file[18] = 1, file[22] = 2;
  file[26] = 1, file[28] = 24;
  for (uint8_t i = 0; i < 3; ++i) {
    file[54 + i] = i + 1; // the lower row: blue, green, red
    file[58 + i] = i + 4;
  }
  return file;
}
} // namespace

TEST(ImageDecode, ColorsInAnyOrder) {
  expectTensor<uint8_t>((*decode(colorMap()))[0], {1, 2, 3}, {255, 0, 0, 1, 2, 3});
  expectTensor<uint8_t>((*decode(colorMap(), "BGR"))[0], {1, 2, 3}, {0, 0, 255, 3, 2, 1});
  expectTensor<uint8_t>((*decode(colorMap(), "Grayscale"))[0], {1, 2, 1}, {76, 2});
  Bytes gray = bytesOf("P5 1 1 255 x");
  expectTensor<uint8_t>((*decode(gray))[0], {1, 1, 3}, {'x', 'x', 'x'});
}

TEST(ImageDecode, Bitmaps) {
  expectTensor<uint8_t>((*decode(bitmap()))[0], {2, 1, 3}, {6, 5, 4, 3, 2, 1});
  Bytes down = bitmap();
  down[22] = 0xfe, down[23] = down[24] = down[25] = 0xff;
  expectTensor<uint8_t>((*decode(down))[0], {2, 1, 3}, {3, 2, 1, 6, 5, 4});
}

TEST(ImageDecode, BrokenFilesAreRefused) {
  const std::pair<std::string, const char *> files[] = {
      {"", "an image of unknown format"},
      {"GIF89a", "an image of unknown format"},
      {"P6 2 1 255 abc", "the PNM image is broken: its pixels are cut off"},
      {"P6 2", "the PNM image is broken: its header is not complete"},
      {"P6 999999999999 1 255 ", "the PNM image is broken"},
      {"BM", "the BMP image is broken: its header is cut off"},
      {"\x89PNG\r\n\x1a\n", "the PNG image is broken: "},
      {"\xff\xd8\xff\xe0", "the JPEG image is broken: "},
      {"RIFF....WEBP", "the WebP image is broken"},
      {std::string("II*\0\0\0\0\0", 8), "the TIFF image is broken"},
      {std::string("\0\0\0\x0cjP  \r\n\x87\n", 12), "the JPEG 2000 image is broken"},
      {"\xff\x4f\xff\x51", "the JPEG 2000 image is broken"},
  };
  for (const auto &[file, message] : files) {
    auto result = decode(bytesOf(file));
    ASSERT_FALSE(result) << message;
    EXPECT_TRUE(result.status().message().starts_with(message)) << result.status().message();
  }
  for (size_t size = 0; size < bitmap().size(); ++size) {
    Bytes file = bitmap();
    file.resize(size);
    EXPECT_FALSE(decode(file)) << size;
  }
}

TEST(ImageDecode, SizesAreLimited) {
  // A PNG header that asks for 2^30 pixels.
  Bytes png =
      bytesOf(std::string_view("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x80\0\0\0\x80\0\x08\x02\0\0\0"
                               "\x8f\x1f\x28\x12",
                               33));
  Limits limits;
  limits.maxTensorBytes = 1 << 20;
  EXPECT_FALSE(decode(png, "RGB", limits));
}
