//===- ModelDraw.h - drawing random ONNX models ---------------------------===//
//
// A model is drawn op by op. Every value carries a bound of its magnitude and a
// bound of its rounding error, so that results can be compared as closely as
// arithmetic allows: values of small integers stay exact and must have equal
// bits, and discontinuous ops (rounding, comparison, arg max) take only those.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tests/frontend/ModelBuilder.h"

#include "quern/Tensor.h"

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace quern::random {

/// The error of integers that may be rounded to a neighbour.
constexpr double kOneStep = 1;

/// A value of the model under construction.
struct Drawn {
  std::string name;
  DType dtype = DType::Float32;
  Tensor::Dims dims;
  /// No element is larger in magnitude.
  double bound = 0;
  /// No element of a correct result is further from that of another correct
  /// result; 0 says that all of them agree exactly. Integers that are not exact are only
  /// results of the model: no op reads them.
  double error = 0;

  bool isExact() const { return error == 0; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t elements() const;
};

/// A finished model.
struct RandomModel {
  onnx::proto::ModelProto model;
  std::vector<std::string> inputNames;
  std::vector<Tensor> inputs;
  std::vector<Drawn> outputs;
  /// How many ops were drawn.
  int ops = 0;
};

/// Half of the distance between neighbouring floats at 1; 0 for other types.
double roundingUnit(DType dtype);
/// Integers of at most this magnitude are exact in `dtype`.
double exactLimit(DType dtype);

/// Makes a number an element of a tensor of any type.
void setElement(Tensor &tensor, int64_t i, double value);

/// What models are made of.
enum class DrawMix {
  /// Ops of all families.
  Usual,
  /// Mostly ops on quantized tensors, one at least, and what stands between them.
  Quantized
};

class ModelDraw {
public:
  explicit ModelDraw(uint64_t seed, DrawMix mix = DrawMix::Usual);

  //===--- Chance ---------------------------------------------------------===//
  int64_t below(int64_t n) { return static_cast<int64_t>(engine() % static_cast<uint64_t>(n)); }
  /// One of [low, high].
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  bool percent(int64_t p) { return below(100) < p; }
  template <typename T> T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<int64_t>(choices.size()))];
  }
  template <typename T> const T &pick(const std::vector<T> &choices) {
    return choices[below(static_cast<int64_t>(choices.size()))];
  }
  /// A size: mostly small, sometimes 1, 0, or around a multiple of the vector length.
  int64_t drawSize();
  Tensor::Dims drawDims(int64_t minRank, int64_t maxRank);
  DType drawFloat();
  /// `axis`, or the same counted from the end.
  int64_t eitherSign(int64_t axis, int64_t rank) { return percent(50) ? axis : axis - rank; }
  /// The same for ops that need the rank of their operand for an axis from the front.
  int64_t signOfKnownRank(int64_t axis, int64_t rank) {
    return ranksAreKnown ? eitherSign(axis, rank) : axis - rank;
  }
  /// Whether importers know the ranks of all values.
  bool knowsRanks() const { return ranksAreKnown; }
  /// Dims that broadcast to `dims` together with it; `sameRank` never has fewer.
  Tensor::Dims broadcastable(Tensor::Dims dims);

  //===--- Values ---------------------------------------------------------===//
  using Wanted = std::function<bool(const Drawn &)>;
  /// A value drawn so far that fits (late ones more often), else a new float leaf.
  Drawn any(const Wanted &wanted, const std::function<Drawn()> &otherwise);
  /// A value of this type and shape: computed before when there is one (or the
  /// same as was used last), else a leaf.
  Drawn operand(DType dtype, const Tensor::Dims &dims, double maxBound = 1e30);
  /// A graph input, initializer or Constant of integers in [low, high].
  Drawn leaf(DType dtype, const Tensor::Dims &dims, int64_t low = -3, int64_t high = 3);
  /// The same, mostly constant, as the parameters of trained models are.
  Drawn parameter(DType dtype, const Tensor::Dims &dims, int64_t low = -3, int64_t high = 3);
  /// A leaf with these elements.
  Drawn leafOf(const Tensor &tensor, double bound, double error = 0) {
    return addLeaf(tensor, bound, error);
  }
  /// A leaf of reals.
  Drawn realLeaf(DType dtype, const Tensor::Dims &dims, double low, double high);
  /// An integer vector with these elements, made in one of many ways: constant,
  /// graph input, or computed.
  std::string ints(const std::vector<int64_t> &values, DType dtype = DType::Int64);
  /// As ints, but always an initializer or Constant, where ops ask for that.
  std::string constantInts(const std::vector<int64_t> &values);
  /// The name of an initializer with these elements.
  std::string initializer(const Tensor &tensor);
  /// The name of an initializer or graph input with these elements, which no other op reads: they
  /// may be infinite, or NaN.
  std::string unsharedLeaf(const Tensor &tensor);
  /// `value` clipped to small integers, when it is larger than `bound`.
  Drawn tamed(const Drawn &value, double bound);

  //===--- Nodes ----------------------------------------------------------===//
  int64_t opset() const { return version; }
  /// Adds a node; attributes of the returned builder belong to it.
  onnx::test::ModelBuilder &node(const std::string &op, const std::vector<std::string> &inputs,
                                 const std::vector<std::string> &outputs);
  std::string fresh() { return "v" + std::to_string(nextName++); }
  /// Adds a node of one result, whose type, dims, bound and error are given.
  onnx::test::ModelBuilder &result(const std::string &op, const std::vector<std::string> &inputs,
                                   Drawn value);
  /// Makes a value available to later ops.
  void keep(const Drawn &value) { values.push_back(value); }
  /// The domain, at this version, of the node added last.
  void domain(const std::string &name, int64_t version = 1);
  /// The version of ai.onnx.ml.
  int64_t mlVersion() const { return versionOfMl; }

  //===--- Bodies ---------------------------------------------------------===//
  /// What a body begins with; it ends with endBody.
  struct Mark {
    int nodes;
    size_t values;
  };
  Mark beginBody();
  /// A value that the body gets as an input.
  Drawn bodyInput(onnx::proto::GraphProto &body, Drawn value);
  /// Values that were drawn in the body.
  std::vector<Drawn> bodyValues(const Mark &mark) const;
  /// The nodes added since `mark` are those of `body`, and what they compute cannot be
  /// seen any more. Its outputs are named `results`.
  void endBody(const Mark &mark, onnx::proto::GraphProto &body,
               const std::vector<std::string> &results);
  /// How many bodies are open.
  int nesting() const { return openBodies; }

  /// Chooses the outputs and which dims of inputs are symbolic.
  RandomModel finish();

  /// Whether images (rank 4, many channels) are what this model is about.
  bool wantsImages() const { return images; }
  DrawMix mix() const { return drawMix; }
  const std::vector<Drawn> &drawn() const { return values; }

private:
  int64_t drawVersion();
  Tensor drawIntegers(DType dtype, const Tensor::Dims &dims, int64_t low, int64_t high);
  Drawn addLeaf(const Tensor &tensor, double bound, double error, int64_t inputPercent = 50);
  void openDims();
  std::string computedInts(const std::vector<int64_t> &values, DType dtype);

  std::mt19937_64 engine;
  DrawMix drawMix;
  int64_t version, versionOfMl;
  onnx::test::ModelBuilder builder;
  bool images;
  /// Whether all inputs are declared with a rank.
  bool ranksAreKnown;
  std::vector<Drawn> values;
  std::vector<std::string> inputNames;
  std::vector<Tensor> inputs;
  /// Names that some node reads.
  std::map<std::string, int> uses;
  int nextName = 0, openBodies = 0;
};

/// Tries to add one op of a family; false when it does not fit what is there.
using DrawFunction = bool (*)(ModelDraw &draw);
struct OpFamily {
  /// How often it is drawn, and how often in models of images.
  int weight, imageWeight;
  std::vector<DrawFunction> functions;
  /// How often in models of quantized tensors.
  int quantizedWeight = 0;
};
OpFamily attentionFamily();
OpFamily controlFlowFamily();
OpFamily elementwiseFamily();
OpFamily dataMovementFamily();
OpFamily gatherFamily();
OpFamily shapeFamily();
OpFamily reductionFamily();
OpFamily contractionFamily();
OpFamily einsumFamily();
OpFamily channelsFamily();
OpFamily convFamily();
OpFamily poolFamily();
OpFamily normalizationFamily();
OpFamily lossFamily();
OpFamily mlFamily();
OpFamily qdqFamily();
OpFamily qlinearFamily();
OpFamily quantFamily();
OpFamily recurrentFamily();
OpFamily resizeFamily();
OpFamily sequenceFamily();
OpFamily signalFamily();
OpFamily treeFamily();
OpFamily visionFamily();

/// Tries to add an op of any family.
bool drawOp(ModelDraw &draw);

/// The model of `seed`: the same on every machine. It ends after `maxOps` ops, so
/// that the shortest failing prefix of a failing model can be found.
constexpr int kAllOps = 1000;
RandomModel drawModel(uint64_t seed, int maxOps = kAllOps, DrawMix mix = DrawMix::Usual);

} // namespace quern::random
