//===- QuantTest.cpp - quantization runs natively, and is exact -----------===//
//
// As the importer composes it: x / scale, round, + zero point, a cast that saturates, and
// the way back.
//
//===----------------------------------------------------------------------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/GraphCheck.h"
#include "tests/native/NarrowFactors.h"

#include <array>
#include <limits>

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

//===----------------------------------------------------------------------===//
// Sums that become bytes
//===----------------------------------------------------------------------===//

namespace {
/// What quantizes the sums of an anchor: scaled for each column, by none that is a number for one
/// of them, rounded, moved and cut off.
struct Requantization {
  const char *element;
  float zeroPoint;
  /// Looked up in a table, or dequantized, added to another tensor and quantized again.
  bool isLookedUp = false, isAdded = false;
  /// All scales are less than 1, so that sums stay what int32 holds, and are not bounded before.
  bool hasFractions = false;
};

std::string labelOf(const Requantization &form) {
  return fmt::format("{} {} {} {} {}", form.element, form.zeroPoint, form.isLookedUp, form.isAdded,
                     form.hasFractions);
}

GraphValue requantized(Graph &graph, const GraphValue &sums, const std::string &dims,
                       const Tensor::Dims &columns, const Requantization &form) {
  std::string floats = dims + "xf32", bytes = dims + "x" + form.element;
  Tensor scales = Tensor::allocate(DType::Float32, columns).take();
  int64_t count = columns[0];
  auto *scale = static_cast<float *>(scales.mutableRawData());
  for (int64_t i = 0; i < count; ++i)
    scale[i] = 0.5F + 0.25F * static_cast<float>(i % 5);
  if (form.hasFractions) {
    // From the largest one down to those of real models.
    constexpr float kFractions[] = {0x1.fffffep-1F, -0x1.fffffep-1F, 0.004F, -0.0003F, 0.02F};
    for (int64_t i = 0; i < count; ++i)
      scale[i] = kFractions[i % 5];
  } else {
    // Beyond what int32 holds, to either side.
    scale[0] = 1e9F;
    scale[1] = -1e9F;
    scale[count - 1] = std::numeric_limits<float>::quiet_NaN();
  }
  GraphValue by = graph.weight(scales);
  GraphValue zero = graph.weight(Tensor::of<float>({}, {form.zeroPoint}));
  auto quantize = [&](const GraphValue &number) {
    GraphValue moved =
        graph.op("nn.add", {graph.op("nn.round", {number}, "", floats), zero}, "", floats);
    return graph.op("nn.cast", {moved}, std::string("to = ") + form.element, bytes);
  };
  GraphValue number = graph.op("nn.cast", {sums}, "to = f32", floats);
  GraphValue result = quantize(graph.op("nn.mul", {number, by}, "", floats));
  if (form.isAdded) {
    GraphValue words = graph.op("nn.cast", {result}, "to = i32", dims + "xi32");
    GraphValue real = graph.op("nn.cast", {words}, "to = f32", floats);
    GraphValue other = graph.op("nn.cast", {graph.input(bytes)}, "to = f32", floats);
    result = quantize(graph.op("nn.add", {real, other}, "", floats));
  }
  if (form.isLookedUp) {
    Tensor table = Tensor::allocate(dtypeOfName(form.element), {256}).take();
    for (int i = 0; i < 256; ++i)
      static_cast<uint8_t *>(table.mutableRawData())[i] = static_cast<uint8_t>(i * 37 + 11);
    result = graph.op("nn.byte_lookup", {result, graph.weight(table)}, "", bytes);
  }
  return result;
}

const Requantization kForms[] = {
    {"ui8", 0},
    {"ui8", 3},
    {"ui8", 255},
    {"i8", 0},
    {"i8", -128},
    {"i8", 5},
    {"ui8", 0.5F},
    {"ui8", 7, true},
    {"i8", 0, true},
    {"ui8", 9, false, true},
    {"i8", -3, true, true},
    {"ui8", 0, false, false, true},
    {"ui8", 200, true, false, true},
    {"i8", 0, false, false, true},
    {"i8", -128, false, false, true},
};
} // namespace

// Whatever rows and columns there are: packed from one to four vectors at once, and masked.
TEST(QuantTest, ProductsThatAreRequantized) {
  for (const char *target : {"haswell", "skylake-avx512", "host"}) {
    if (!checkRunsHere(resolveTarget(target).take()).isOk())
      continue;
    SCOPED_TRACE(target);
    GraphCheck check;
    check.options.targetCpu = target;
    for (int64_t columns : {16, 32, 48, 64, 192, 37})
      for (int64_t rows : {1, 37}) {
        Graph graph;
        GraphValue x = graph.input(fmt::format("{}x64xui8", rows));
        for (const Requantization &form : kForms) {
          GraphValue w = graph.weight(drawTensor(DType::Int8, {64, columns}, 3));
          std::string dims = fmt::format("{}x{}", rows, columns);
          GraphValue sums = graph.op("nn.matmul", {x, w}, "", dims + "xi32");
          graph.output(requantized(graph, sums, dims, {columns}, form), labelOf(form));
        }
        expectExact(graph, check);
      }
  }
}

// A filter for each channel, and for all of them, in blocks of 16 to 64.
TEST(QuantTest, ConvolutionsThatAreRequantized) {
  for (const char *target : {"haswell", "cascadelake", "host"})
    for (auto [channels, groups] :
         {std::array<int64_t, 2>{16, 1}, {16, 16}, {32, 32}, {64, 1}, {64, 64}, {48, 1}}) {
      if (!checkRunsHere(resolveTarget(target).take()).isOk())
        continue;
      SCOPED_TRACE(fmt::format("{} channels, {} groups, {}", channels, groups, target));
      Graph graph;
      GraphValue x = graph.input(fmt::format("1x{}x5x19xui8", channels));
      for (const Requantization &form : kForms) {
        NarrowConv conv{{}, {channels, channels / groups, 3, 3}, 1, 1, groups};
        GraphValue sums = addConv(graph, conv, {"ui8", "i8", "i32"}, x, 1);
        std::string dims = fmt::format("1x{}x5x19", channels);
        graph.output(requantized(graph, sums, dims, {channels, 1, 1}, form), labelOf(form));
      }
      GraphCheck check;
      check.options.targetCpu = target;
      expectExact(graph, check);
    }
}
