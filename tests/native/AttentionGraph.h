//===- AttentionGraph.h - attention of any form, to be compared -----------===//
#pragma once

#include "tests/native/GraphCheck.h"

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace quern::native {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A graph of one nn.attention.
struct Attention {
  int64_t batch = 1, heads = 2, keyHeads = 2, queries = 5, keys = 7, size = 16, valueSize = 16;
  /// Of the mask; empty: there is none.
  Tensor::Dims mask = {};
  double scale = 0.25, softcap = 0;
  bool causal = false, zeroMaskedRows = false, hasScale = false;
  /// Of the condition; empty: there is none.
  Tensor::Dims condition = {};
  double hiddenScore = -kInfinity;
  /// "f16", "bf16"; empty: scores are not rounded.
  std::string scoreType = "";
  bool roundSums = false;
  std::optional<int64_t> offset = std::nullopt;
  /// [batch, heads, length, size] in this order in memory.
  Tensor::Dims queryPerm = {0, 1, 2, 3}, keyPerm = {0, 1, 2, 3}, valuePerm = {0, 1, 2, 3},
               resultPerm = {0, 1, 2, 3};
  /// "bf16": of query, key and value, with sums of float32.
  std::string dtype = "f32";
  bool open = false;

  bool isNarrow() const { return dtype == "bf16"; }
  std::vector<Tensor::Dims> inputDims() const;
  std::string attributes() const;
  Graph graph() const;
  /// Random ones; a third of a mask is minus infinity.
  std::vector<Tensor> inputs(unsigned seed = 1) const;
};

/// Not-a-numbers are alike.
void expectClose(const Tensor &found, const Tensor &wanted, double tolerance);

/// Kernels that all tests share: few serve all sizes.
std::shared_ptr<LinkedKernels> kernelsFor(const std::string &target);

/// Compiled, as it is and beside inaccessible pages, on these inputs or random ones: compared with
/// the reference kernel, which computes whole rows in double.
void expectLikeReference(const Attention &attention, std::vector<Tensor> inputs = {},
                         NativeOptions options = {});

} // namespace quern::native
