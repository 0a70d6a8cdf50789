//===- AttentionGraph.cpp - attention of any form, to be compared ---------===//
#include "tests/native/AttentionGraph.h"

#include "backends/native/KernelStore.h"
#include "backends/native/LinkedKernels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <map>
#include <random>

using namespace quern;
using namespace quern::native;

using Dims = Tensor::Dims;

/// The dims of an operand that is read as `sizes` by `perm`.
static Dims stored(const Dims &sizes, const Dims &perm) {
  Dims dims(4);
  for (size_t i = 0; i < 4; ++i)
    dims[static_cast<size_t>(perm[i])] = sizes[i];
  return dims;
}

std::vector<Dims> Attention::inputDims() const {
  std::vector<Dims> dims = {stored({batch, heads, queries, size}, queryPerm),
                            stored({batch, keyHeads, keys, size}, keyPerm),
                            stored({batch, keyHeads, keys, valueSize}, valuePerm)};
  if (!mask.empty())
    dims.push_back(mask);
  if (hasScale)
    dims.push_back({1});
  if (!condition.empty())
    dims.push_back(condition);
  return dims;
}

/// A number in MLIR's text, which may be infinite.
static std::string bitsOf(double number) {
  return fmt::format("0x{:016X}", std::bit_cast<uint64_t>(number));
}

std::string Attention::attributes() const {
  auto perm = [](const Dims &dims) { return fmt::format("array<i64: {}>", fmt::join(dims, ", ")); };
  return fmt::format("query_perm = {}, key_perm = {}, value_perm = {}, result_perm = {}, "
                     "scale_factor = {:e} : f64, softcap = {:e} : f64, causal = {}, "
                     "zero_masked_rows = {}, hidden_score = {} : f64, round_sums = {}{}",
                     perm(queryPerm), perm(keyPerm), perm(valuePerm), perm(resultPerm), scale,
                     softcap, causal, zeroMaskedRows, bitsOf(hiddenScore), roundSums,
                     scoreType.empty() ? "" : ", score_type = " + scoreType);
}

Graph Attention::graph() const {
  Graph graph;
  GraphValue none = graph.none();
  std::vector<GraphValue> inputs;
  for (const Dims &dims : inputDims()) {
    bool isOperand = inputs.size() < 3;
    const Dims &perm = inputs.empty() ? queryPerm : inputs.size() == 1 ? keyPerm : valuePerm;
    std::string type;
    for (size_t i = 0; i < dims.size(); ++i) {
      // Heads and their sizes stay known.
      bool isOpen = open && (isOperand ? perm[0] == static_cast<int64_t>(i) ||
                                             perm[2] == static_cast<int64_t>(i)
                                       : dims.size() > 1);
      type += isOpen ? "?x" : fmt::format("{}x", dims[i]);
    }
    bool isCondition = !condition.empty() && inputs.size() + 1 == inputDims().size();
    std::string element = isNarrow() && !isOperand ? "f32" : dtype;
    inputs.push_back(graph.input(type + (isCondition ? "i1" : element)));
  }
  size_t next = 3;
  auto take = [&](bool exists) { return exists ? inputs[next++] : none; };
  GraphValue maskValue = take(!mask.empty()), scaleValue = take(hasScale),
             conditionValue = take(!condition.empty());
  GraphValue place = offset ? graph.constant(fmt::format("dense<{}>", *offset), "i64") : none;
  graph.output(
      graph.op("nn.attention",
               {inputs[0], inputs[1], inputs[2], maskValue, scaleValue, place, conditionValue},
               attributes(), isNarrow() ? "*xf32" : ""));
  return graph;
}

std::vector<Tensor> Attention::inputs(unsigned seed) const {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<Tensor> tensors;
  for (const Dims &dims : inputDims()) {
    if (!condition.empty() && tensors.size() + 1 == inputDims().size()) {
      Tensor allowed = Tensor::allocate(DType::Bool, dims).take();
      for (int64_t i = 0; i < allowed.numElements(); ++i)
        allowed.mutableData<bool>()[i] = uniform(random) < 0.4;
      tensors.push_back(allowed);
      continue;
    }
    bool isFactor = tensors.size() < 3;
    Tensor tensor = Tensor::allocate(dtype == "f64"           ? DType::Float64
                                     : isNarrow() && isFactor ? DType::BFloat16
                                                              : DType::Float32,
                                     dims)
                        .take();
    for (int64_t i = 0; i < tensor.numElements(); ++i) {
      double value = uniform(random);
      if (tensors.size() == 3 && !mask.empty() && value > 0.3)
        value = -kInfinity;
      if (tensor.dtype() == DType::BFloat16)
        tensor.mutableData<BFloat16>()[i] = BFloat16(static_cast<float>(value));
      else if (tensor.dtype() == DType::Float32)
        tensor.mutableData<float>()[i] = static_cast<float>(value);
      else
        tensor.mutableData<double>()[i] = value;
    }
    tensors.push_back(tensor);
  }
  return tensors;
}

static double at(const Tensor &tensor, int64_t i) {
  return tensor.dtype() == DType::Float32 ? tensor.data<float>()[i] : tensor.data<double>()[i];
}

void quern::native::expectClose(const Tensor &found, const Tensor &wanted, double tolerance) {
  ASSERT_EQ(found.dims(), wanted.dims());
  for (int64_t i = 0; i < wanted.numElements(); ++i) {
    double a = at(found, i), b = at(wanted, i);
    ASSERT_TRUE(std::isnan(b) ? std::isnan(a) : std::abs(a - b) <= tolerance)
        << "element " << i << " is " << a << ", wanted " << b;
  }
}

std::shared_ptr<LinkedKernels> quern::native::kernelsFor(const std::string &target) {
  static std::map<std::string, std::shared_ptr<LinkedKernels>> kernels;
  // "host" has more features while some are emulated.
  Target resolved = resolveTarget(target).take();
  std::shared_ptr<LinkedKernels> &known = kernels[target + resolved.features];
  if (!known)
    known = std::make_shared<LinkedKernels>(std::make_shared<KernelStore>(resolved));
  return known;
}

void quern::native::expectLikeReference(const Attention &attention, std::vector<Tensor> inputs,
                                        NativeOptions options) {
  Graph graph = attention.graph();
  SCOPED_TRACE(graph.text());
  if (inputs.empty())
    inputs = attention.inputs();
  options.kernels = kernelsFor(options.targetCpu);
  auto executable = compileForTest(graph, options);
  ASSERT_TRUE(executable) << executable.status().message();
  auto run = runCompiled(*executable, inputs);
  ASSERT_TRUE(run) << run.status().message();
  auto wanted = runInterpreted(graph, inputs);
  ASSERT_TRUE(wanted) << wanted.status().message();
  // Weights of values below 1 in magnitude are rounded to bfloat16, and so is what they sum up to.
  double tolerance = attention.isNarrow() ? 0x1p-8 : attention.dtype == "f32" ? 1e-5 : 1e-13;
  expectClose(run->results[0], (*wanted)[0], tolerance);
  for (const ProfileRow &step : run->steps)
    EXPECT_FALSE(step.reference) << step.nodes;
  for (auto side : {GuardedMemory::Side::Begin, GuardedMemory::Side::End}) {
    auto guarded = runGuarded(**executable, inputs, side);
    ASSERT_TRUE(guarded) << guarded.status().message();
    expectClose((*guarded)[0], (*wanted)[0], tolerance);
  }
}
