//===- ImportFeature.cpp - what is done to features before a model --------===//
//
// All of them are compositions of elementwise ops, reductions and moves.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/Scores.h"
#include "ir/LabelOps.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// An error unless input 0 is of a type that these ops take.
static bool requireFeatureType(NodeReader &node, int i) {
  DType dtype = node.inputDType(i);
  bool isTaken = dtype == DType::Float32 || dtype == DType::Float64 || dtype == DType::Int32 ||
                 dtype == DType::Int64;
  if (!isTaken)
    node.invalid(fmt::format("input {} must hold float32, float64, int32 or int64, found {}", i,
                             dtypeName(dtype)));
  return isTaken;
}

/// An error unless a list is for all features of input 0 or has an entry for each.
static void requirePerFeature(NodeReader &node, std::string_view name, size_t length) {
  std::optional<nn::Shape> shape = node.inputShape(0);
  auto count = static_cast<int64_t>(length);
  bool fits = count == 1 || !shape ||
              (shape->rank() > 0 && (*shape)[shape->rank() - 1].compatibleWith(nn::Dim(count)));
  if (!fits)
    node.invalid(
        fmt::format("'{}' has {} elements, but input 0 has shape {}", name, count, shape->str()));
}

static void importArrayFeatureExtractor(NodeReader &node) {
  if (node.inputDType(1) != DType::Int64)
    return node.invalid(
        fmt::format("input 1 must hold int64, found {}", dtypeName(node.inputDType(1))));
  Value x = node.input(0);
  std::optional<nn::Shape> shape = node.inputShape(0);
  if (shape && shape->rank() == 0)
    return node.invalid("input 0 needs rank 1 or more, found 0");
  if (shape && shape->rank() == 1)
    x = node.create<nn::UnsqueezeOp>(x, node.intsConstant({0}));
  Value places = node.create<nn::ReshapeOp>(node.input(1), node.intsConstant({-1}),
                                            /*allowzero=*/false);
  node.setOutput(0, node.create<nn::GatherOp>(x, places, /*axis=*/-1));
}

/// Integers are compared in float64, which has all thresholds.
static void importBinarizer(NodeReader &node) {
  double threshold = node.getFloat("threshold", 0);
  if (!requireFeatureType(node, 0))
    return;
  DType dtype = node.inputDType(0);
  Value x = isFloat(dtype) ? node.input(0) : node.createCast(node.input(0), DType::Float64);
  Value isAbove = createGreater(node, x, constantLike(node, threshold, x));
  node.setOutput(0, node.createCast(isAbove, dtype));
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

static void importScaler(NodeReader &node) {
  std::vector<float> offset = node.getFloats("offset"), scale = node.getFloats("scale");
  if (!requireFeatureType(node, 0))
    return;
  Value x = node.input(0);
  if (!isFloat(dtypeOf(x)))
    x = node.createCast(x, DType::Float32);
  if (!offset.empty()) {
    requirePerFeature(node, "offset", offset.size());
    x = node.create<nn::SubOp>(x, floatsLike(node, offset, x));
  }
  if (!scale.empty()) {
    requirePerFeature(node, "scale", scale.size());
    x = node.create<nn::MulOp>(x, floatsLike(node, scale, x));
  }
  node.setOutput(0, convert(node, x, DType::Float32));
}

/// What has norm 0 stays as it is. The largest element is not that by magnitude.
static void importNormalizer(NodeReader &node) {
  std::string name = node.getString("norm", "MAX");
  if (name != "MAX" && name != "L1" && name != "L2")
    return node.unsupported(fmt::format("norm '{}'", name));
  if (!requireFeatureType(node, 0))
    return;
  Value x = node.input(0);
  if (!isFloat(dtypeOf(x)))
    x = node.createCast(x, DType::Float32);
  ReduceKind kind = name == "MAX"  ? ReduceKind::Max
                    : name == "L1" ? ReduceKind::L1
                                   : ReduceKind::L2;
  Value norm = node.create<nn::ReduceOp>(x, node.intsConstant({-1}), kind, /*keepdims=*/true,
                                         /*noop_with_empty_axes=*/false);
  Value isZero = node.create<nn::EqualOp>(norm, constantLike(node, 0, x));
  Value divisor = node.create<nn::WhereOp>(isZero, constantLike(node, 1, x), norm);
  node.setOutput(0, convert(node, node.create<nn::DivOp>(x, divisor), DType::Float32));
}

static void importImputer(NodeReader &node) {
  std::vector<float> floats = node.getFloats("imputed_value_floats");
  std::vector<int64_t> ints = node.getInts("imputed_value_int64s");
  double replacedFloat = node.getFloat("replaced_value_float", 0);
  int64_t replacedInt = node.getInt("replaced_value_int64", 0);
  if (!requireFeatureType(node, 0))
    return;
  Value x = node.input(0), isReplaced, imputed;
  if (isFloat(dtypeOf(x))) {
    if (floats.empty())
      return node.invalid("needs 'imputed_value_floats'");
    requirePerFeature(node, "imputed_value_floats", floats.size());
    imputed = floatsLike(node, floats, x);
    isReplaced = std::isnan(replacedFloat)
                     ? createIsNan(node, x)
                     : node.create<nn::EqualOp>(x, constantLike(node, replacedFloat, x));
  } else {
    if (ints.empty())
      return node.invalid("needs 'imputed_value_int64s'");
    requirePerFeature(node, "imputed_value_int64s", ints.size());
    imputed = convert(node, node.intsConstant(ints), dtypeOf(x));
    Value replaced = node.constant(Tensor::of<int64_t>({}, {replacedInt}));
    isReplaced = node.create<nn::EqualOp>(convert(node, x, DType::Int64), replaced);
  }
  node.setOutput(0, node.create<nn::WhereOp>(isReplaced, imputed, x));
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

/// The first `count` columns of a matrix; zeros where it has fewer.
static Value takeColumns(NodeReader &node, Value x, int64_t count) {
  std::optional<nn::Shape> shape = nn::shapeOf(x);
  if (shape && (*shape)[1].isStatic(count))
    return x;
  Value none = node.none(), axes = node.intsConstant({1});
  x = node.create<nn::SliceOp>(x, node.intsConstant({0}), node.intsConstant({count}), axes, none);
  Value missing = node.create<nn::SubOp>(node.intsConstant({count}), node.sizeOf(x, 1));
  Value pads = node.create<nn::ConcatOp>(mlir::ValueRange{node.intsConstant({0, 0, 0}), missing},
                                         /*axis=*/0);
  return node.create<nn::PadOp>(x, pads, none, PadMode::Constant);
}

static void importFeatureVectorizer(NodeReader &node) {
  std::vector<int64_t> sizes = node.getInts("inputdimensions");
  if (!sizes.empty() && static_cast<int>(sizes.size()) != node.inputCount())
    return node.invalid(fmt::format("inputdimensions has {} elements for {} inputs", sizes.size(),
                                    node.inputCount()));
  llvm::SmallVector<Value> columns;
  for (int i = 0; i < node.inputCount(); ++i) {
    if (!requireFeatureType(node, i))
      return;
    Value x = convert(node, node.input(i), DType::Float32);
    std::optional<nn::Shape> shape = node.inputShape(i);
    if (shape && shape->rank() == 1)
      x = node.create<nn::UnsqueezeOp>(x, node.intsConstant({0}));
    else if (shape && shape->rank() != 2)
      return node.invalid(
          fmt::format("input {} must have rank 1 or 2, found {}", i, shape->rank()));
    if (!sizes.empty() && sizes[i] < 0)
      return node.invalid(fmt::format("inputdimensions has the element {}", sizes[i]));
    columns.push_back(sizes.empty() ? x : takeColumns(node, x, sizes[i]));
  }
  node.setOutput(0, node.create<nn::ConcatOp>(mlir::ValueRange(columns), /*axis=*/1));
}

/// 1 in the place of the category of each element: found at once where it may have none,
/// and all are different.
static void importOneHotEncoder(NodeReader &node) {
  std::vector<int64_t> ints = node.getInts("cats_int64s");
  std::vector<std::string> strings = node.getStrings("cats_strings");
  bool mayMiss = node.getBool("zeros", true), areStrings = node.inputDType(0) == DType::String;
  if (!areStrings && !requireFeatureType(node, 0))
    return;
  if (areStrings ? strings.empty() : ints.empty())
    return node.invalid(fmt::format("needs '{}'", areStrings ? "cats_strings" : "cats_int64s"));
  Value x = areStrings ? node.input(0) : convert(node, node.input(0), DType::Int64);
  Value categories = areStrings ? stringsConstant(node, strings) : node.intsConstant(ints);
  auto count = static_cast<int64_t>(areStrings ? strings.size() : ints.size());
  bool areDifferent = areStrings || std::set(ints.begin(), ints.end()).size() == ints.size();
  if (areStrings || !areDifferent || !mayMiss) {
    Value numbers = node.createCount(node.intsConstant({count}));
    Value otherwise = mayMiss ? node.scalarConstant(-1, DType::Int64) : node.none();
    x = node.create<nn::LookupOp>(x, categories, numbers, otherwise);
    categories = numbers;
  }
  x = node.create<nn::UnsqueezeOp>(x, node.intsConstant({-1}));
  node.setOutput(0, node.createCast(node.create<nn::EqualOp>(x, categories), DType::Float32));
}

std::span<const OpsetRow> quern::onnx::featureImports() {
  static constexpr OpsetRow rows[] = {
      {"ArrayFeatureExtractor", 1, kNewestMlOpset, 2, 2, 1, importArrayFeatureExtractor, kMlDomain},
      {"Binarizer", 1, kNewestMlOpset, 1, 1, 1, importBinarizer, kMlDomain},
      {"FeatureVectorizer", 1, kNewestMlOpset, 1, kVariadic, 1, importFeatureVectorizer, kMlDomain},
      {"Imputer", 1, kNewestMlOpset, 1, 1, 1, importImputer, kMlDomain},
      {"Normalizer", 1, kNewestMlOpset, 1, 1, 1, importNormalizer, kMlDomain},
      {"OneHotEncoder", 1, kNewestMlOpset, 1, 1, 1, importOneHotEncoder, kMlDomain},
      {"Scaler", 1, kNewestMlOpset, 1, 1, 1, importScaler, kMlDomain},
  };
  return rows;
}
