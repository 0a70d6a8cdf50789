//===- QuantTest.cpp - quantization runs natively, and is exact -----------===//
//
// As the importer composes it: x / scale, round, + zero point, a cast that saturates, and
// the way back.
//
//===----------------------------------------------------------------------===//
#include "tests/native/GraphCheck.h"

using namespace quern;
using namespace quern::native;

namespace {
/// QuantizeLinear and DequantizeLinear of a float32 input; both results are outputs.
Graph roundTrip(const std::string &dims, const std::string &element, const Tensor &scale,
                const Tensor &zeroPoint) {
  Graph graph;
  GraphValue x = graph.input(dims + "xf32");
  GraphValue by = graph.weight(scale), zero = graph.weight(zeroPoint);
  std::string floats = dims + "xf32", wide = dims + "xi32";
  GraphValue quotient = graph.op("nn.div", {x, by}, "", floats);
  GraphValue rounded = graph.op("nn.round", {quotient}, "", floats);
  GraphValue moved = graph.op("nn.add", {rounded, zero}, "", floats);
  GraphValue quantized = graph.op("nn.cast", {moved}, "to = " + element, dims + "x" + element);
  GraphValue integers = graph.op("nn.cast", {quantized}, "to = i32", wide);
  GraphValue real = graph.op("nn.cast", {integers}, "to = f32", floats);
  GraphValue centred = graph.op("nn.sub", {real, zero}, "", floats);
  graph.output(quantized, element);
  graph.output(graph.op("nn.mul", {centred, by}, "", floats), element + " and back");
  return graph;
}
} // namespace

// Inputs are small integers: halves of a scale of 2, beyond the range of one of 1/64.
TEST(QuantTest, TypesAndChannels) {
  Tensor scale = Tensor::of<float>({4, 1}, {2, 0.015625, 0.3f, 1});
  for (const char *element : {"i8", "ui8", "i16", "ui16", "i4", "ui4", "i2", "ui2"})
    for (const char *dims : {"4x1", "4x37", "3x4x64"})
      expectExact(roundTrip(dims, element, scale, Tensor::of<float>({4, 1}, {0, 100, 7, 3})));
  expectExact(roundTrip("129", "ui8", Tensor::of<float>({}, {2}), Tensor::of<float>({}, {128})));
}
