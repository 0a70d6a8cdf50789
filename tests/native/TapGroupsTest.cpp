//===- TapGroupsTest.cpp - depthwise convolutions of bytes ----------------===//
#include "backends/native/target/CpuFeatures.h"
#include "tests/native/NarrowFactors.h"
#include "tests/native/RunnableTargets.h"

#include <algorithm>

using namespace quern;
using namespace quern::native;

namespace {
class TapGroupsTest : public testing::TestWithParam<std::string> {
protected:
  static void expectExact(const std::vector<NarrowConv> &cases, const NarrowTypes &types) {
    Graph graph;
    std::vector<Tensor> inputs;
    unsigned seed = 40;
    for (const NarrowConv &c : cases) {
      inputs.push_back(drawTensor(dtypeOfName(types.a), c.input, ++seed));
      graph.output(addConv(graph, c, types, graph.input(typeText(c.input, types.a)), seed += 2),
                   fmt::format("{} with {}, stride {}, pads of {}", formatDims(c.input),
                               formatDims(c.weights), c.stride, c.pad));
    }
    GraphCheck check;
    check.options.targetCpu = GetParam();
    check.inputs = inputs;
    native::expectExact(graph, check);
  }
};
} // namespace

// Filters of fewer taps than a group, of one, of several that are not filled, and of more than are
// unrolled; at each pixel, each second and each third one; lines shorter and longer than what is
// summed up at once, cut evenly or not; windows that lie outside, and all that is outside is no
// zero; blocks of channels that are not full.
TEST_P(TapGroupsTest, Filters) {
  std::vector<NarrowConv> cases;
  int64_t channels[] = {16, 20, 64, 3, 130};
  for (int64_t columns = 2; columns <= 9; ++columns)
    for (int64_t stride : {1, 2, 3})
      for (int64_t width : {1, 7, 17, 28}) {
        auto number = static_cast<int64_t>(cases.size());
        int64_t pad = number % columns;
        if (width + 2 * pad < columns)
          continue;
        int64_t c = channels[number % 5];
        cases.push_back(
            {{1 + number % 2, c, 3, width}, {c, 1, 2, columns}, stride, pad, c, number * 37 % 256});
      }
  expectExact(cases, kNarrowTypes[0]);
}

// Not all of them have an instruction of their own.
TEST_P(TapGroupsTest, Types) {
  std::vector<NarrowConv> cases;
  for (int64_t columns : {3, 5, 7})
    for (int64_t width : {7, 13, 14})
      cases.push_back(
          {{1, 32, 5, width}, {32, 1, 3, columns}, 1 + width % 2, columns / 2, 32, 201});
  for (const NarrowTypes &types : kNarrowTypes)
    expectExact(cases, types);
}

/// Those of all tests, and AVX-512 without its later instructions.
static std::vector<std::string> allTargets() {
  std::vector<std::string> names = runnableTargets();
  for (const char *name : {"skylake-avx512", "cascadelake"})
    if (auto target = resolveTarget(name); target && checkRunsHere(*target).isOk())
      names.emplace_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Targets, TapGroupsTest, testing::ValuesIn(allTargets()),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });
