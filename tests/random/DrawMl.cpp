//===- DrawMl.cpp - random linear models, SVMs and features ---------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;
using quern::onnx::proto::AttributeProto;
using quern::onnx::test::ModelBuilder;

namespace {
constexpr double kUnit = 0x1p-24;
const char *const kMl = "ai.onnx.ml";

void setFloats(ModelBuilder &node, const std::string &name, const std::vector<float> &values) {
  auto &list = node.attribute(name, AttributeProto::FLOATS);
  for (float value : values)
    list.add_floats(value);
}

std::vector<float> drawFloats(ModelDraw &draw, int64_t count, int64_t low = -3, int64_t high = 3) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(draw.between(low, high)));
  return values;
}

/// Rows of whole numbers.
Drawn drawRows(ModelDraw &draw) {
  auto fits = [](const Drawn &v) {
    return (v.dtype == DType::Float32 || v.dtype == DType::Float64 || v.dtype == DType::Int64 ||
            v.dtype == DType::Int32) &&
           v.rank() == 2 && v.isExact() && v.bound <= 64 && v.dims[1] > 0 && v.elements() <= 4000;
  };
  return draw.any(fits, [&] {
    DType dtype =
        draw.pick({DType::Float32, DType::Float32, DType::Float64, DType::Int64, DType::Int32});
    return draw.leaf(dtype, {draw.drawSize(), draw.between(1, 7)});
  });
}

std::string drawTransform(ModelDraw &draw) {
  return draw.percent(50) ? "NONE"
                          : draw.pick<std::string>({"SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"});
}

void describeTransformed(Drawn &y, const std::string &transform) {
  if (transform == "NONE")
    return;
  y.error = 16 * kUnit + y.error;
  y.bound = 1;
}

std::vector<int64_t> labelsOf(int64_t classes) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < classes; ++i)
    labels.push_back(3 * i - 1);
  return labels;
}

//===----------------------------------------------------------------------===//
// Linear models
//===----------------------------------------------------------------------===//

bool drawLinearRegressor(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  int64_t targets = draw.between(1, 4), features = x.dims[1];
  Drawn y{draw.fresh(),
          DType::Float32,
          {x.dims[0], targets},
          3 * static_cast<double>(features) * x.bound + 3,
          0};
  std::string transform = draw.percent(60) ? "NONE" : drawTransform(draw);
  describeTransformed(y, transform);
  auto &node = draw.result("LinearRegressor", {x.name}, y);
  draw.domain(kMl, draw.mlVersion());
  setFloats(node, "coefficients", drawFloats(draw, targets * features));
  if (draw.percent(60))
    setFloats(node, "intercepts", drawFloats(draw, targets));
  node.attr("targets", targets);
  if (transform != "NONE" || draw.percent(50))
    node.attr("post_transform", transform.c_str());
  return true;
}

bool drawLinearClassifier(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  int64_t classes = draw.between(2, 4), features = x.dims[1];
  bool binary = classes == 2 && draw.percent(50);
  int64_t rows = binary ? 1 : classes;
  Drawn labels{draw.fresh(), DType::Int64, {x.dims[0]}, 16, 0};
  Drawn scores{draw.fresh(),
               DType::Float32,
               {x.dims[0], classes},
               3 * static_cast<double>(features) * x.bound + 4,
               0};
  std::string transform = drawTransform(draw);
  describeTransformed(scores, transform);
  auto &node = draw.node("LinearClassifier", {x.name}, {labels.name, scores.name});
  draw.domain(kMl, draw.mlVersion());
  setFloats(node, "coefficients", drawFloats(draw, rows * features));
  // They tell how many rows there are.
  if (binary || draw.percent(70))
    setFloats(node, "intercepts", drawFloats(draw, rows));
  node.attr("classlabels_ints", labelsOf(classes));
  if (transform != "NONE" || draw.percent(50))
    node.attr("post_transform", transform.c_str());
  draw.keep(labels);
  draw.keep(scores);
  return true;
}

//===----------------------------------------------------------------------===//
// Support vectors
//===----------------------------------------------------------------------===//

struct Kernel {
  std::string type;
  std::vector<float> params;
  /// Of one value of the kernel.
  double bound, error;
};

Kernel drawKernel(ModelDraw &draw, const Drawn &x) {
  double dot = 3 * x.bound * static_cast<double>(x.dims[1]);
  Kernel kernel{draw.pick<std::string>({"LINEAR", "POLY", "RBF", "SIGMOID"}),
                {draw.pick({0.25f, 0.5f}), draw.pick({0.0f, 1.0f}), draw.pick({1.0f, 2.0f})},
                dot,
                0};
  if (kernel.type == "RBF" || kernel.type == "SIGMOID") {
    kernel.bound = 1;
    kernel.error = 32 * kUnit;
  } else if (kernel.type == "POLY") {
    kernel.bound = std::pow(0.5 * dot + 1, 2);
    kernel.error = 16 * kUnit * kernel.bound;
  }
  return kernel;
}

void setKernel(ModelDraw &draw, ModelBuilder &node, const Kernel &kernel) {
  if (kernel.type != "LINEAR" || draw.percent(50))
    node.attr("kernel_type", kernel.type.c_str());
  setFloats(node, "kernel_params", kernel.params);
}

bool drawSvmRegressor(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  int64_t supports = draw.between(1, 5), features = x.dims[1];
  Kernel kernel = drawKernel(draw, x);
  auto terms = static_cast<double>(supports);
  Drawn y{draw.fresh(), DType::Float32, {x.dims[0], 1}, 3 * terms * kernel.bound + 3, 0};
  if (kernel.error > 0)
    y.error = 3 * terms * kernel.error + 8 * kUnit * y.bound;
  // Whether a row is inside jumps where its score is 0.
  bool isOneClass = y.isExact() && draw.percent(30);
  if (isOneClass)
    y.bound = 1;
  auto &node = draw.result("SVMRegressor", {x.name}, y);
  draw.domain(kMl, draw.mlVersion());
  setFloats(node, "coefficients", drawFloats(draw, supports));
  setFloats(node, "support_vectors", drawFloats(draw, supports * features));
  setFloats(node, "rho", drawFloats(draw, 1));
  node.attr("n_supports", supports);
  setKernel(draw, node, kernel);
  if (isOneClass)
    node.attr("one_class", int64_t{1});
  return true;
}

bool drawSvmClassifier(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  int64_t classes = draw.between(2, 4), features = x.dims[1], supports = 0;
  int64_t pairs = classes * (classes - 1) / 2;
  std::vector<int64_t> perClass;
  for (int64_t i = 0; i < classes; ++i)
    supports += perClass.emplace_back(draw.between(1, 3));
  Kernel kernel = drawKernel(draw, x);
  // Votes jump where a score is 0.
  if (kernel.error > 0)
    kernel = {"LINEAR", {0, 0, 0}, 3 * x.bound * static_cast<double>(features), 0};
  Drawn labels{draw.fresh(), DType::Int64, {x.dims[0]}, 16, 0};
  double bound = 3 * static_cast<double>(supports) * kernel.bound + 3;
  if (bound > 0x1p20)
    return false;
  bool hasProbabilities = draw.percent(40);
  Drawn scores{draw.fresh(), DType::Float32, {x.dims[0], classes}, bound, 0};
  std::string transform = drawTransform(draw);
  if (classes > 2 && !hasProbabilities)
    scores.dims[1] = pairs;
  if (hasProbabilities) {
    scores.bound = 1;
    scores.error = 1e-4;
  }
  describeTransformed(scores, transform);
  auto &node = draw.node("SVMClassifier", {x.name}, {labels.name, scores.name});
  draw.domain(kMl, draw.mlVersion());
  setFloats(node, "coefficients", drawFloats(draw, (classes - 1) * supports));
  setFloats(node, "support_vectors", drawFloats(draw, supports * features));
  setFloats(node, "rho", drawFloats(draw, pairs));
  node.attr("vectors_per_class", perClass).attr("classlabels_ints", labelsOf(classes));
  setKernel(draw, node, kernel);
  if (hasProbabilities) {
    setFloats(node, "prob_a", std::vector<float>(static_cast<size_t>(pairs), -0.125f));
    setFloats(node, "prob_b", drawFloats(draw, pairs, -1, 1));
  }
  if (transform != "NONE" || draw.percent(50))
    node.attr("post_transform", transform.c_str());
  draw.keep(labels);
  draw.keep(scores);
  return true;
}

//===----------------------------------------------------------------------===//
// Features
//===----------------------------------------------------------------------===//

bool drawScaler(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  bool perFeature = draw.percent(60);
  int64_t count = perFeature ? x.dims[1] : 1;
  auto &node =
      draw.result("Scaler", {x.name}, {draw.fresh(), DType::Float32, x.dims, 3 * (x.bound + 3), 0});
  draw.domain(kMl, draw.mlVersion());
  setFloats(node, "offset", drawFloats(draw, count));
  setFloats(node, "scale", drawFloats(draw, count));
  return true;
}

bool drawNormalizer(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  std::string norm = draw.pick<std::string>({"MAX", "L1", "L2"});
  Drawn y{draw.fresh(), DType::Float32, x.dims, norm == "MAX" ? x.bound : 1, 0};
  y.error = 8 * kUnit * y.bound;
  auto &node = draw.result("Normalizer", {x.name}, y);
  draw.domain(kMl, draw.mlVersion());
  if (norm != "MAX" || draw.percent(50))
    node.attr("norm", norm.c_str());
  return true;
}

bool drawBinarizer(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  auto &node = draw.result("Binarizer", {x.name}, {draw.fresh(), x.dtype, x.dims, 1, 0});
  draw.domain(kMl, draw.mlVersion());
  if (draw.percent(70))
    node.attr("threshold", draw.pick({-1.0f, 0.5f, 1.0f}));
  return true;
}

bool drawImputer(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  if (x.dtype != DType::Float32 && x.dtype != DType::Int64)
    return false;
  int64_t count = draw.percent(50) ? 1 : x.dims[1];
  auto &node =
      draw.result("Imputer", {x.name}, {draw.fresh(), x.dtype, x.dims, std::max(x.bound, 3.0), 0});
  draw.domain(kMl, draw.mlVersion());
  std::vector<float> imputed = drawFloats(draw, count);
  if (x.dtype == DType::Int64)
    node.attr("imputed_value_int64s", std::vector<int64_t>(imputed.begin(), imputed.end()))
        .attr("replaced_value_int64", draw.between(-1, 1));
  else
    setFloats(node, "imputed_value_floats", imputed);
  if (x.dtype == DType::Float32)
    node.attr("replaced_value_float", draw.pick({0.0f, 1.0f, std::nanf("")}));
  return true;
}

bool drawOneHotEncoder(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  std::vector<int64_t> categories;
  for (int64_t v = -70; v <= 70; ++v)
    if (std::abs(v) <= 4 ? draw.percent(60) : draw.percent(2))
      categories.push_back(v);
  bool zeros = draw.percent(60);
  // A category that is missing is an error then.
  if (categories.empty() || !zeros)
    return false;
  Drawn y{draw.fresh(), DType::Float32, x.dims, 1, 0};
  y.dims.push_back(static_cast<int64_t>(categories.size()));
  auto &node = draw.result("OneHotEncoder", {x.name}, y);
  draw.domain(kMl, draw.mlVersion());
  node.attr("cats_int64s", categories);
  if (draw.percent(50))
    node.attr("zeros", int64_t{1});
  return true;
}

bool drawLabelEncoder(ModelDraw &draw) {
  if (draw.mlVersion() < 2)
    return false;
  Drawn x = drawRows(draw);
  if (x.dtype != DType::Int64 && x.dtype != DType::Float32)
    return false;
  std::vector<int64_t> keys, values;
  for (int64_t v = -4; v <= 4; ++v)
    if (draw.percent(60)) {
      keys.insert(draw.percent(50) ? keys.begin() : keys.end(), v);
      values.push_back(draw.between(-9, 9));
    }
  if (keys.empty())
    return false;
  bool toFloat = draw.percent(50);
  Drawn y{draw.fresh(), toFloat ? DType::Float32 : DType::Int64, x.dims, 9, 0};
  auto &node = draw.result("LabelEncoder", {x.name}, y);
  draw.domain(kMl, draw.mlVersion());
  if (x.dtype == DType::Int64)
    node.attr("keys_int64s", keys);
  else
    setFloats(node, "keys_floats", {keys.begin(), keys.end()});
  if (toFloat)
    setFloats(node, "values_floats", {values.begin(), values.end()});
  else
    node.attr("values_int64s", values);
  if (toFloat && draw.percent(60))
    node.attr("default_float", 7.0f);
  if (!toFloat && draw.percent(60))
    node.attr("default_int64", int64_t{7});
  return true;
}

bool drawFeatureVectorizer(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  std::vector<std::string> inputs = {x.name};
  std::vector<int64_t> widths = {x.dims[1]};
  Drawn y{draw.fresh(), DType::Float32, x.dims, x.bound, 0};
  for (int64_t i = draw.below(3); i > 0; --i) {
    Drawn next = draw.operand(x.dtype, {x.dims[0], draw.between(1, 4)}, 64);
    if (!next.isExact())
      continue;
    inputs.push_back(next.name);
    widths.push_back(next.dims[1]);
    y.dims[1] += next.dims[1];
    y.bound = std::max(y.bound, next.bound);
  }
  auto &node = draw.result("FeatureVectorizer", inputs, y);
  draw.domain(kMl, draw.mlVersion());
  node.attr("inputdimensions", widths);
  return true;
}

bool drawArrayFeatureExtractor(ModelDraw &draw) {
  Drawn x = drawRows(draw);
  int64_t count = draw.between(1, 5);
  Drawn places = draw.leaf(DType::Int64, {count}, 0, x.dims[1] - 1);
  draw.result("ArrayFeatureExtractor", {x.name, places.name},
              {draw.fresh(), x.dtype, {x.dims[0], count}, x.bound, 0});
  draw.domain(kMl, draw.mlVersion());
  return true;
}
} // namespace

OpFamily random::mlFamily() {
  return {4,
          1,
          {drawLinearRegressor, drawLinearClassifier, drawSvmRegressor, drawSvmClassifier,
           drawScaler, drawNormalizer, drawBinarizer, drawImputer, drawOneHotEncoder,
           drawLabelEncoder, drawFeatureVectorizer, drawArrayFeatureExtractor}};
}
