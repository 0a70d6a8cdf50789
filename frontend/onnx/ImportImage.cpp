//===- ImportImage.cpp - images in files ----------------------------------===//
#include "frontend/onnx/NodeReader.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/ImageOps.h"

using namespace quern;
using namespace quern::onnx;

static void importImageDecoder(NodeReader &node) {
  std::string format = node.getString("pixel_format", "RGB");
  node.setOutput(0, node.create<nn::ImageDecodeOp>(node.input(0), format));
}

std::span<const OpsetRow> quern::onnx::imageImports() {
  static constexpr OpsetRow rows[] = {
      {"ImageDecoder", 20, kNewestOpset, 1, 1, 1, importImageDecoder},
  };
  return rows;
}
