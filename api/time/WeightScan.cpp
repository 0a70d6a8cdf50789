//===- WeightScan.cpp - what is in the weights of a model -----------------===//
#include "quern/WeightScan.h"

#include "api/ModelState.h"
#include "ir/Constants.h"
#include "ir/NNOps.h"
#include "ir/NodeNames.h"
#include "ir/Signature.h"
#include "runtime/values/Unaligned.h"

#include "llvm/Support/xxhash.h"

#include <cstring>
#include <unordered_map>

using namespace quern;

namespace {
/// Which operand of an op is weights, and along which of its axes its results lie.
struct WeightUse {
  mlir::Value weight;
  int64_t resultAxis;
};

std::optional<WeightUse> weightUse(mlir::Operation &op) {
  if (auto conv = mlir::dyn_cast<nn::ConvOp>(op))
    return WeightUse{conv.getWeights(), 0};
  if (auto conv = mlir::dyn_cast<nn::ConvTransposeOp>(op))
    return WeightUse{conv.getWeights(), 1};
  if (auto product = mlir::dyn_cast<nn::GemmOp>(op))
    return WeightUse{product.getB(), product.getTransB() ? 0 : 1};
  if (auto product = mlir::dyn_cast<nn::MatMulOp>(op))
    return WeightUse{product.getB(), -1};
  return std::nullopt;
}

std::string firstNode(mlir::Operation &op) {
  std::vector<std::string> names = nn::nodeNames(op.getLoc());
  return names.empty() ? op.getName().getStringRef().str() : names.front();
}

/// The numbers of slices along `axis` of dims, and of a row of equal place in memory within each.
struct Slices {
  int64_t outer = 1, count = 1, inner = 1;

  Slices(const Tensor::Dims &dims, int64_t axis) {
    for (int64_t d = 0; d < static_cast<int64_t>(dims.size()); ++d)
      (d < axis ? outer : d == axis ? count : inner) *= dims[static_cast<size_t>(d)];
  }
};

void countNumbers(const Tensor &elements, const Slices &slices, WeightFinding &finding) {
  constexpr uint32_t kMagnitude = 0x7fffffff, kLeastNormal = 0x00800000;
  UnalignedElements<uint32_t> bits(elements.rawData());
  std::vector<bool> hasNumber(static_cast<size_t>(slices.count));
  int64_t at = 0;
  for (int64_t o = 0; o < slices.outer; ++o)
    for (int64_t s = 0; s < slices.count; ++s) {
      int64_t zeros = 0;
      for (int64_t end = at + slices.inner; at < end; ++at) {
        uint32_t magnitude = bits[at] & kMagnitude;
        zeros += magnitude == 0;
        finding.subnormals += magnitude != 0 && magnitude < kLeastNormal;
      }
      finding.zeros += zeros;
      if (zeros < slices.inner)
        hasNumber[static_cast<size_t>(s)] = true;
    }
  finding.slices = slices.count;
  for (bool has : hasNumber)
    finding.zeroSlices += !has;
}

/// Which weights have the same elements.
class EqualWeights {
public:
  /// The node of an equal one before, if there is one; small ones do not count.
  std::string find(const WeightFinding &finding, const Tensor &elements) {
    constexpr int64_t kWorthSharing = 4096;
    if (finding.bytes() < kWorthSharing)
      return "";
    auto bytes = std::span(static_cast<const uint8_t *>(elements.rawData()),
                           static_cast<size_t>(finding.bytes()));
    uint64_t hash = llvm::xxh3_64bits(llvm::ArrayRef(bytes.data(), bytes.size()));
    auto [first, last] = seen.equal_range(hash);
    for (auto it = first; it != last; ++it)
      if (const auto &[node, other] = it->second;
          other.dims() == elements.dims() &&
          std::memcmp(other.rawData(), bytes.data(), bytes.size()) == 0)
        return node;
    seen.emplace(hash, std::pair(finding.node, elements));
    return "";
  }

private:
  std::unordered_multimap<uint64_t, std::pair<std::string, Tensor>> seen;
};
} // namespace

std::vector<WeightFinding> Model::scanWeights() const {
  std::lock_guard lock(state->mutex);
  std::vector<WeightFinding> found;
  EqualWeights equal;
  llvm::DenseSet<mlir::Value> values;
  nn::findMain(*state->source.module).walk([&](mlir::Operation *op) {
    std::optional<WeightUse> use = weightUse(*op);
    if (!use || !values.insert(use->weight).second)
      return;
    std::optional<nn::WeightSource> source = nn::weightSource(use->weight);
    if (!source || source->dtype() != DType::Float32 || source->dims().empty())
      return;
    std::optional<Tensor> elements = source->viewAtHand();
    if (!elements)
      return;
    WeightFinding finding{.node = firstNode(*op), .dims = source->dims()};
    finding.elements = elements->numElements();
    int64_t rank = static_cast<int64_t>(finding.dims.size());
    int64_t axis = use->resultAxis < 0 ? rank - 1 : use->resultAxis;
    if (axis >= rank)
      return;
    countNumbers(*elements, Slices(finding.dims, axis), finding);
    finding.sameAs = equal.find(finding, *elements);
    source->release();
    found.push_back(std::move(finding));
  });
  return found;
}

std::vector<std::pair<std::string, std::string>> Model::inputsUsedAsWeights() const {
  std::lock_guard lock(state->mutex);
  mlir::func::FuncOp main = nn::findMain(*state->source.module);
  std::vector<std::pair<std::string, std::string>> found;
  main.walk([&](mlir::Operation *op) {
    if (std::optional<WeightUse> use = weightUse(*op))
      if (auto input = mlir::dyn_cast<mlir::BlockArgument>(use->weight);
          input && input.getOwner() == &main.getBody().front())
        found.emplace_back(nn::inputName(main, input.getArgNumber()), firstNode(*op));
  });
  return found;
}
