//===- ImportLinearModel.cpp - linear models and support vector machines --===//
//
// All of them are compositions: products with constant matrices and what follows. So
// they are native, but for labels that are strings and for the probabilities of an SVM.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/Scores.h"
#include "ir/LabelOps.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using llvm::APFloat;
using mlir::Value;
using Floats = std::vector<float>;

/// x * rows' + bias, of `count` rows of coefficients; `bias` may be none.
static Value createProduct(NodeReader &node, Value x, const Floats &coefficients, int64_t count,
                           Value bias) {
  auto size = static_cast<int64_t>(coefficients.size());
  if (size == 0 || count < 1 || size % count != 0) {
    node.invalid(fmt::format("{} coefficients do not divide into {} rows", size, count));
    return x;
  }
  return node.create<nn::GemmOp>(x, floatsLike(node, coefficients, x, size / count), bias,
                                 APFloat(1.0), APFloat(1.0), /*trans_a=*/false, /*trans_b=*/true);
}

/// The intercepts as a vector of `count`, which none is zeros of.
static Value readIntercepts(NodeReader &node, const Floats &intercepts, int64_t count, Value like) {
  if (intercepts.empty())
    return node.none();
  if (static_cast<int64_t>(intercepts.size()) != count)
    node.invalid(fmt::format("has {} intercepts, expected {}", intercepts.size(), count));
  return floatsLike(node, intercepts, like);
}

//===----------------------------------------------------------------------===//
// Linear models
//===----------------------------------------------------------------------===//

static void importLinearRegressor(NodeReader &node) {
  Floats coefficients = node.getFloats("coefficients"), intercepts = node.getFloats("intercepts");
  int64_t targets = node.getInt("targets", 1);
  PostTransform transform = readPostTransform(node);
  Value x = readFeatures(node);
  if (node.failed())
    return;
  Value bias = readIntercepts(node, intercepts, targets, x);
  Value scores = createProduct(node, x, coefficients, targets, bias);
  if (node.failed())
    return;
  scores = transformScores(node, scores, targets, transform);
  node.setOutput(0, convert(node, scores, DType::Float32));
}

/// The number of scores: that of intercepts or, without them, what the features leave.
static int64_t scoreCount(NodeReader &node, const Floats &coefficients, const Floats &intercepts,
                          const ClassLabels &labels, Value x) {
  if (!intercepts.empty())
    return static_cast<int64_t>(intercepts.size());
  std::optional<nn::Shape> shape = nn::shapeOf(x);
  bool isKnown = shape && (*shape)[1].isStatic() && (*shape)[1].size() > 0;
  return isKnown ? static_cast<int64_t>(coefficients.size()) / (*shape)[1].size() : labels.count();
}

static void importLinearClassifier(NodeReader &node) {
  node.ignoreAttribute("multi_class"); // the transform says what scores are
  Floats coefficients = node.getFloats("coefficients"), intercepts = node.getFloats("intercepts");
  ClassLabels labels = readClassLabels(node, "classlabels_ints");
  PostTransform transform = readPostTransform(node);
  Value x = readFeatures(node);
  if (node.failed())
    return;
  x = convert(node, x, DType::Float32);
  int64_t count = scoreCount(node, coefficients, intercepts, labels, x);
  bool isBinary = count == 1 && labels.count() <= 2;
  if (!isBinary && count != labels.count())
    return node.invalid(fmt::format("{} scores do not fit {} labels", count, labels.count()));
  Value bias = readIntercepts(node, intercepts, count, x);
  Value scores = createProduct(node, x, coefficients, count, bias);
  if (node.failed())
    return;
  if (count > 1) {
    node.setOutput(0, createLabels(node, labels, createTopClass(node, scores)));
    return node.setOutput(1, transformScores(node, scores, count, transform));
  }
  Value isSecond = createGreater(node, scores, constantLike(node, 0, scores));
  node.setOutput(0, createBinaryLabels(node, labels, isSecond));
  node.setOutput(1, labels.count() == 2 ? complementScores(node, scores, transform)
                                        : transformScores(node, scores, 1, transform));
}

//===----------------------------------------------------------------------===//
// Kernels of support vector machines
//===----------------------------------------------------------------------===//

namespace {
struct SvmKernel {
  std::string type;
  double gamma = 0, coef0 = 0, degree = 0;
};
} // namespace

static SvmKernel readKernel(NodeReader &node) {
  SvmKernel kernel{.type = node.getString("kernel_type", "LINEAR")};
  if (kernel.type != "LINEAR" && kernel.type != "POLY" && kernel.type != "RBF" &&
      kernel.type != "SIGMOID")
    node.unsupported(fmt::format("kernel_type '{}'", kernel.type));
  Floats params = node.getFloats("kernel_params");
  if (!params.empty() && params.size() < 3)
    node.invalid(fmt::format("kernel_params has {} elements, expected 3", params.size()));
  else if (!params.empty())
    kernel.gamma = params[0], kernel.coef0 = params[1], kernel.degree = params[2];
  return kernel;
}

/// exp(-gamma * the squared distances): as sums of products in float64, in which what
/// cancels does not show.
static Value createRbf(NodeReader &node, const SvmKernel &kernel, Value x, const Floats &vectors,
                       int64_t count) {
  DType dtype = dtypeOf(x);
  int64_t length = static_cast<int64_t>(vectors.size()) / count;
  std::vector<double> squares(static_cast<size_t>(count));
  for (int64_t i = 0; i < count * length; ++i)
    squares[i / length] += static_cast<double>(vectors[i]) * vectors[i];
  Value wide = convert(node, x, DType::Float64);
  Value products = createProduct(node, wide, vectors, count, node.none());
  Value own = node.create<nn::ReduceOp>(node.create<nn::MulOp>(wide, wide), node.intsConstant({1}),
                                        ReduceKind::Sum, /*keepdims=*/true,
                                        /*noop_with_empty_axes=*/false);
  Value theirs = node.constant(Tensor::of<double>({count}, squares));
  Value twice = node.create<nn::MulOp>(products, constantLike(node, -2, wide));
  Value distances = node.create<nn::AddOp>(node.create<nn::AddOp>(own, twice), theirs);
  distances = node.create<nn::MaxOp>(distances, constantLike(node, 0, wide));
  distances = convert(node, distances, dtype);
  return node.create<nn::ExpOp>(
      node.create<nn::MulOp>(distances, constantLike(node, -kernel.gamma, distances)));
}

/// The kernel of each row with each of `count` vectors.
static Value createKernel(NodeReader &node, const SvmKernel &kernel, Value x, const Floats &vectors,
                          int64_t count) {
  auto size = static_cast<int64_t>(vectors.size());
  if (count < 1 || size == 0 || size % count != 0) {
    node.invalid(fmt::format("{} numbers do not divide into {} support vectors", size, count));
    return x;
  }
  if (kernel.type == "RBF")
    return createRbf(node, kernel, x, vectors, count);
  Value products = createProduct(node, x, vectors, count, node.none());
  if (kernel.type == "LINEAR")
    return products;
  Value scaled =
      node.create<nn::AddOp>(node.create<nn::MulOp>(products, constantLike(node, kernel.gamma, x)),
                             constantLike(node, kernel.coef0, x));
  if (kernel.type == "SIGMOID")
    return node.create<nn::TanhOp>(scaled);
  return node.create<nn::PowOp>(scaled, constantLike(node, kernel.degree, x));
}

static void importSvmRegressor(NodeReader &node) {
  Floats coefficients = node.getFloats("coefficients"), rho = node.getFloats("rho"),
         vectors = node.getFloats("support_vectors");
  int64_t count = node.getInt("n_supports", 0);
  bool isOneClass = node.getBool("one_class", false);
  SvmKernel kernel = readKernel(node);
  readPostTransform(node); // of one score ONNX Runtime transforms nothing
  Value x = readFeatures(node);
  if (rho.empty())
    node.invalid("needs 'rho'");
  if (count > 0 && static_cast<int64_t>(coefficients.size()) != count)
    node.invalid(
        fmt::format("has {} coefficients for {} support vectors", coefficients.size(), count));
  if (node.failed())
    return;
  Value values = count > 0 ? createKernel(node, kernel, x, vectors, count) : x;
  if (node.failed())
    return;
  rho.resize(1);
  Value scores = createProduct(node, values, coefficients, 1, floatsLike(node, rho, values));
  if (node.failed())
    return;
  if (isOneClass) {
    Value isInside = createGreater(node, scores, constantLike(node, 0, scores));
    scores = node.create<nn::WhereOp>(isInside, constantLike(node, 1, scores),
                                      constantLike(node, -1, scores));
  }
  node.setOutput(0, convert(node, scores, DType::Float32));
}

//===----------------------------------------------------------------------===//
// Classification by support vectors
//===----------------------------------------------------------------------===//

namespace {
struct SvmClassifier {
  Floats coefficients, rho, vectors, probA, probB;
  std::vector<int64_t> perClass;
  ClassLabels labels;
  SvmKernel kernel;
  PostTransform transform;

  int64_t classes() const { return labels.count(); }
  int64_t pairs() const { return classes() * (classes() - 1) / 2; }
  int64_t vectorCount() const;
  /// Fails unless all lists fit each other.
  void check(NodeReader &node) const;
};
} // namespace

int64_t SvmClassifier::vectorCount() const {
  CheckedSize sum(0);
  for (int64_t count : perClass)
    sum = sum + CheckedSize(count);
  return sum.valid() ? sum.value() : -1;
}

void SvmClassifier::check(NodeReader &node) const {
  int64_t count = vectorCount();
  if (rho.empty())
    return node.invalid("needs 'rho'");
  if (count == 0)
    return;
  auto lengthOf = [](const auto &list) { return static_cast<int64_t>(list.size()); };
  auto require = [&](const char *what, int64_t found, int64_t wanted) {
    if (found != wanted)
      node.invalid(fmt::format("{}: found {} elements, expected {}", what, found, wanted));
  };
  if (classes() < 2 || classes() > 65535)
    return node.invalid(fmt::format("has {} classes, expected 2 to 65535", classes()));
  require("vectors_per_class", lengthOf(perClass), classes());
  require("rho", lengthOf(rho), pairs());
  if (!probA.empty() || !probB.empty()) {
    require("prob_a", lengthOf(probA), pairs());
    require("prob_b", lengthOf(probB), pairs());
  }
  CheckedSize wanted = CheckedSize(classes() - 1) * CheckedSize(count);
  require("coefficients", lengthOf(coefficients), wanted.valid() ? wanted.value() : -1);
}

/// Zeros for each pair of classes and each of `count`; an error when they are too many,
/// which are more than the model has.
static Floats zerosOfPairs(NodeReader &node, const SvmClassifier &svm, int64_t count) {
  CheckedSize elements = CheckedSize(count) * CheckedSize(svm.pairs());
  const Limits &limits = node.graph().limits;
  int64_t most = std::min({limits.maxTensorBytes, limits.maxFoldedBytes,
                           limits.maxActivationBytes / 2}); // it becomes a tensor, too
  if (elements.valid() && elements.value() <= most / static_cast<int64_t>(sizeof(float)))
    return Floats(static_cast<size_t>(elements.value()));
  node.fail(resourceLimit(
      fmt::format("a matrix of {} by {} pairs of classes is too large", count, svm.pairs())));
  return {};
}

/// The coefficients by vector and pair of classes, [vectors, pairs]. Class i has a row of
/// coefficients for each other class.
static Value pairCoefficients(NodeReader &node, const SvmClassifier &svm, Value like) {
  int64_t count = svm.vectorCount(), pairs = svm.pairs();
  Floats matrix = zerosOfPairs(node, svm, count);
  if (node.failed())
    return like;
  std::vector<int64_t> begins = {0};
  for (int64_t size : svm.perClass)
    begins.push_back(begins.back() + size);
  int64_t pair = 0;
  for (int64_t i = 0; i < svm.classes(); ++i)
    for (int64_t j = i + 1; j < svm.classes(); ++j, ++pair) {
      for (int64_t v = begins[i]; v < begins[i + 1]; ++v)
        matrix[v * pairs + pair] = svm.coefficients[(j - 1) * count + v];
      for (int64_t v = begins[j]; v < begins[j + 1]; ++v)
        matrix[v * pairs + pair] = svm.coefficients[i * count + v];
    }
  return floatsLike(node, matrix, like, pairs);
}

/// The class that wins most pairs: the first of a pair where its score is above zero.
static Value countVotes(NodeReader &node, const SvmClassifier &svm, Value scores) {
  // A vote for the first is one less for the second, which has them all before.
  Floats change = zerosOfPairs(node, svm, svm.classes());
  Floats before(static_cast<size_t>(svm.classes()));
  if (node.failed())
    return scores;
  int64_t pair = 0;
  for (int64_t i = 0; i < svm.classes(); ++i)
    for (int64_t j = i + 1; j < svm.classes(); ++j, ++pair) {
      change[pair * svm.classes() + i] = 1;
      change[pair * svm.classes() + j] = -1;
      before[j] += 1;
    }
  Value isFirst =
      node.createCast(createGreater(node, scores, constantLike(node, 0, scores)), DType::Float32);
  Value votes = node.create<nn::GemmOp>(isFirst, floatsLike(node, change, isFirst, svm.classes()),
                                        floatsLike(node, before, isFirst), APFloat(1.0),
                                        APFloat(1.0), /*trans_a=*/false, /*trans_b=*/false);
  return createTopClass(node, votes);
}

/// The probabilities of classes, from scores of pairs.
static Value createProbabilities(NodeReader &node, const SvmClassifier &svm, Value scores) {
  int64_t classes = svm.classes();
  // 1 - logistic(a * score + b)
  Value line =
      node.create<nn::AddOp>(node.create<nn::MulOp>(scores, floatsLike(node, svm.probA, scores)),
                             floatsLike(node, svm.probB, scores));
  Value first = node.create<nn::SigmoidOp>(node.create<nn::NegOp>(line));
  first = node.create<nn::MaxOp>(first, constantLike(node, 1e-7, scores));
  first = node.create<nn::MinOp>(first, constantLike(node, 1 - 1e-7, scores));
  Value second = node.create<nn::SubOp>(constantLike(node, 1, scores), first);
  // Beside each other, they are gathered into a square; its diagonal does not matter.
  Value both = node.create<nn::ConcatOp>(mlir::ValueRange{first, second}, /*axis=*/1);
  std::vector<int64_t> places(static_cast<size_t>(classes * classes));
  int64_t pair = 0;
  for (int64_t i = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++pair) {
      places[i * classes + j] = pair;
      places[j * classes + i] = svm.pairs() + pair;
    }
  Value square = node.create<nn::GatherOp>(both, node.intsConstant(places), /*axis=*/1);
  Value shape = node.intsConstant({-1, classes, classes});
  return node.create<nn::CouplePairsOp>(
      node.create<nn::ReshapeOp>(square, shape, /*allowzero=*/false));
}

static void importSvmByVectors(NodeReader &node, const SvmClassifier &svm, Value x) {
  Value kernels = createKernel(node, svm.kernel, x, svm.vectors, svm.vectorCount());
  if (node.failed())
    return;
  Value matrix = pairCoefficients(node, svm, x);
  if (node.failed())
    return;
  Value scores = node.create<nn::GemmOp>(kernels, matrix, floatsLike(node, svm.rho, x),
                                         APFloat(1.0), APFloat(1.0), /*trans_a=*/false,
                                         /*trans_b=*/false);
  node.setOutput(0, createLabels(node, svm.labels, countVotes(node, svm, scores)));
  if (!svm.probA.empty()) {
    Value probabilities = createProbabilities(node, svm, scores);
    return node.setOutput(1, transformScores(node, probabilities, svm.classes(), svm.transform));
  }
  if (svm.classes() > 2)
    return node.setOutput(1, transformScores(node, scores, svm.pairs(), svm.transform));
  node.setOutput(1, svm.transform == PostTransform::None
                        ? mirrorScores(node, scores, svm.transform)
                        : complementScores(node, scores, svm.transform));
}

/// Without support vectors: a row of coefficients for each class.
static void importSvmByClasses(NodeReader &node, const SvmClassifier &svm, Value x) {
  Floats rho(svm.rho.begin(), svm.rho.begin() + 1);
  Value scores = createProduct(node, x, svm.coefficients, svm.classes(), floatsLike(node, rho, x));
  if (node.failed())
    return;
  Value top = createTopClass(node, scores);
  bool allPositive = std::all_of(svm.coefficients.begin(), svm.coefficients.end(),
                                 [](float value) { return value >= 0; });
  if (svm.classes() == 2 && svm.probA.empty() && allPositive) {
    // Both ONNX Runtime and onnx.reference take the second class where the best score is high
    // enough. Of other coefficients ONNX Runtime does so where it is above 0: not followed.
    Value best = node.create<nn::ReduceOp>(scores, node.intsConstant({1}), ReduceKind::Max,
                                           /*keepdims=*/false, /*noop_with_empty_axes=*/false);
    Value isHigh = createGreaterOrEqual(node, best, constantLike(node, 0.5, best));
    top = node.create<nn::WhereOp>(isHigh, node.scalarConstant(1, DType::Int64), top);
  }
  node.setOutput(0, createLabels(node, svm.labels, top));
  node.setOutput(1, transformScores(node, scores, svm.classes(), svm.transform));
}

static void importSvmClassifier(NodeReader &node) {
  SvmClassifier svm{.coefficients = node.getFloats("coefficients"),
                    .rho = node.getFloats("rho"),
                    .vectors = node.getFloats("support_vectors"),
                    .probA = node.getFloats("prob_a"),
                    .probB = node.getFloats("prob_b"),
                    .perClass = node.getInts("vectors_per_class"),
                    .labels = readClassLabels(node, "classlabels_ints"),
                    .kernel = readKernel(node),
                    .transform = readPostTransform(node)};
  Value x = readFeatures(node);
  if (node.failed())
    return;
  svm.check(node);
  if (node.failed())
    return;
  x = convert(node, x, DType::Float32);
  if (svm.vectorCount() > 0)
    importSvmByVectors(node, svm, x);
  else
    importSvmByClasses(node, svm, x);
}

std::span<const OpsetRow> quern::onnx::linearModelImports() {
  static constexpr OpsetRow rows[] = {
      {"LinearClassifier", 1, kNewestMlOpset, 1, 1, 2, importLinearClassifier, kMlDomain},
      {"LinearRegressor", 1, kNewestMlOpset, 1, 1, 1, importLinearRegressor, kMlDomain},
      {"SVMClassifier", 1, kNewestMlOpset, 1, 1, 2, importSvmClassifier, kMlDomain},
      {"SVMRegressor", 1, kNewestMlOpset, 1, 1, 1, importSvmRegressor, kMlDomain},
  };
  return rows;
}
