//===- RandomGraphTest.cpp - random graphs of images ----------------------===//
//
// Convolutions, pools, concatenations and elementwise ops in random order, so
// that layouts, fusion and memory reuse meet in ways nobody thought of.
//
//===----------------------------------------------------------------------===//
#include "tests/native/GraphCheck.h"

#include <random>

using namespace quern;
using namespace quern::native;

namespace {
class ImageGraph {
public:
  explicit ImageGraph(unsigned seed) : random(seed), batch(pick({1, 1, 2})) {
    for (int64_t channels : {int64_t{3}, pick({16, 32, 20})})
      images.push_back({graph.input(type(channels, 8)), channels, 8});
    int64_t ops = pick({6, 9, 14});
    for (int64_t i = 0; i < ops; ++i)
      images.push_back(next());
    // The last one and some that others read, too.
    graph.output(images.back().value, "last");
    graph.output(images[images.size() / 2].value, "middle");
  }

  Graph graph;

private:
  /// A value [batch, channels, size, size] of integers in [-4, 4].
  struct Image {
    GraphValue value;
    int64_t channels, size;
  };

  int64_t pick(std::vector<int64_t> choices) { return choices[random() % choices.size()]; }
  std::string type(int64_t channels, int64_t size) {
    std::string edge = std::to_string(size);
    return std::to_string(batch) + "x" + std::to_string(channels) + "x" + edge + "x" + edge +
           "xf32";
  }
  const Image &anyImage() {
    // Late ones more often, for long chains.
    size_t back = std::min<size_t>(random() % images.size(), random() % images.size());
    return images[images.size() - 1 - back];
  }

  /// An image of the same size as `like`, or null.
  const Image *sameSize(const Image &like, bool sameChannels) {
    std::vector<const Image *> found;
    for (const Image &image : images)
      if (image.size == like.size && (!sameChannels || image.channels == like.channels))
        found.push_back(&image);
    return found[random() % found.size()];
  }

  /// Sums stay exact when values stay small.
  GraphValue clipped(const GraphValue &value) {
    GraphValue low = graph.op("nn.max", {value, graph.constant("dense<-4.0>", "f32")});
    return graph.op("nn.min", {low, graph.constant("dense<4.0>", "f32")});
  }

  Image conv(const Image &x) {
    int64_t kernel = pick({1, 3}), stride = x.size > 2 ? pick({1, 1, 2}) : 1;
    bool depthwise = random() % 4 == 0;
    int64_t outputs = depthwise ? x.channels : pick({5, 16, 24, 32, 48});
    int64_t group = depthwise ? x.channels : 1;
    std::string w = std::to_string(outputs) + "x" + std::to_string(x.channels / group) + "x" +
                    std::to_string(kernel) + "x" + std::to_string(kernel) + "xf32";
    std::string s = std::to_string(stride), pad = std::to_string(kernel / 2);
    GraphValue bias = random() % 2 ? graph.weight(std::to_string(outputs) + "xf32") : graph.none();
    GraphValue y = graph.op("nn.conv", {x.value, graph.weight(w), bias},
                            "strides = array<i64: " + s + ", " + s +
                                ">, dilations = array<i64: 1, 1>, pads = array<i64: " + pad + ", " +
                                pad + ", " + pad + ", " + pad +
                                ">, group = " + std::to_string(group) + ", auto_pad = \"NOTSET\"");
    return {clipped(y), outputs, (x.size - 1) / stride + 1};
  }

  Image elementwise(const Image &x) {
    switch (random() % 5) {
    case 0:
      return {graph.op("nn.relu", {x.value}), x.channels, x.size};
    case 1: {
      GraphValue perChannel = graph.weight(std::to_string(x.channels) + "x1x1xf32");
      return {clipped(graph.op("nn.mul", {x.value, perChannel})), x.channels, x.size};
    }
    case 2: {
      GraphValue line = graph.weight(std::to_string(x.size) + "xf32");
      return {clipped(graph.op("nn.add", {line, x.value})), x.channels, x.size};
    }
    case 3: {
      GraphValue sum = graph.op("nn.sub", {x.value, sameSize(x, true)->value});
      return {clipped(sum), x.channels, x.size};
    }
    default:
      return {graph.op("nn.neg", {x.value}), x.channels, x.size};
    }
  }

  Image concat(const Image &x) {
    std::vector<GraphValue> operands = {x.value};
    int64_t channels = x.channels;
    for (int64_t i = pick({1, 2}); i > 0 && channels < 100; --i) {
      const Image *other = sameSize(x, false);
      operands.push_back(other->value);
      channels += other->channels;
    }
    return {graph.op("nn.concat", operands, "axis = 1"), channels, x.size};
  }

  Image pool(const Image &x) {
    if (x.size < 3)
      return elementwise(x);
    GraphValue y = graph.op("nn.max_pool", {x.value},
                            "kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = "
                            "array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, ceil_mode = false");
    return {y, x.channels, (x.size - 2) / 2 + 1};
  }

  Image flipped(const Image &x) {
    return {graph.op("nn.transpose", {x.value}, "perm = array<i64: 0, 1, 3, 2>"), x.channels,
            x.size};
  }

  Image next() {
    const Image x = anyImage();
    switch (random() % 10) {
    case 0:
    case 1:
    case 2:
    case 3:
      return conv(x);
    case 4:
    case 5:
    case 6:
      return elementwise(x);
    case 7:
      return concat(x);
    case 8:
      return pool(x);
    default:
      return flipped(x);
    }
  }

  std::mt19937 random;
  int64_t batch;
  std::vector<Image> images;
};

class RandomGraph : public testing::TestWithParam<unsigned> {};
} // namespace

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraph, testing::Range(0u, 12u));

TEST_P(RandomGraph, AllLevelsAreExact) {
  ImageGraph images(GetParam());
  for (int level : {0, 2, 3}) {
    SCOPED_TRACE("level " + std::to_string(level) + "\n" + images.graph.text());
    GraphCheck check;
    check.options.optLevel = level;
    expectExact(images.graph, check);
    if (HasFailure())
      return;
  }
}
