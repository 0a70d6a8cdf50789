//===- ImportLabel.cpp - labels, and maps from labels to values -----------===//
#include "frontend/onnx/OpsetTable.h"
#include "frontend/onnx/Scores.h"
#include "ir/GatherOps.h"
#include "ir/LabelOps.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

static Value stringConstant(NodeReader &node, const std::string &text) {
  Value vector = stringsConstant(node, {text});
  return node.create<nn::SqueezeOp>(vector, node.intsConstant({0}));
}

/// 0, 1, ... of `count`.
static Value numbersConstant(NodeReader &node, size_t count) {
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return node.intsConstant(numbers);
}

//===----------------------------------------------------------------------===//
// Labels
//===----------------------------------------------------------------------===//

static void importCategoryMapper(NodeReader &node) {
  std::vector<int64_t> ints = node.getInts("cats_int64s");
  std::vector<std::string> strings = node.getStrings("cats_strings");
  Value noInt = node.constant(Tensor::of<int64_t>({}, {node.getInt("default_int64", -1)}));
  Value noString = stringConstant(node, node.getString("default_string", "_Unused"));
  if (ints.size() != strings.size())
    return node.invalid(fmt::format("has {} integers for {} strings", ints.size(), strings.size()));
  Value numbers = node.intsConstant(ints), names = stringsConstant(node, strings);
  if (node.inputDType(0) == DType::String)
    return node.setOutput(0, node.create<nn::LookupOp>(node.input(0), names, numbers, noInt));
  node.setOutput(0, node.create<nn::LookupOp>(node.input(0), numbers, names, noString));
}

/// Version 1: between strings and their places in a list.
static void importPlainLabelEncoder(NodeReader &node) {
  std::vector<std::string> classes = node.getStrings("classes_strings");
  Value noInt = node.constant(Tensor::of<int64_t>({}, {node.getInt("default_int64", -1)}));
  Value noString = stringConstant(node, node.getString("default_string", "_Unused"));
  Value names = stringsConstant(node, classes), numbers = numbersConstant(node, classes.size());
  if (node.inputDType(0) == DType::String)
    return node.setOutput(0, node.create<nn::LookupOp>(node.input(0), names, numbers, noInt));
  node.setOutput(0, node.create<nn::LookupOp>(node.input(0), numbers, names, noString));
}

/// The list of keys or of values, in one of four attributes; absent after an error.
static Tensor readList(NodeReader &node, const std::string &prefix) {
  Tensor list = readTensorAttribute(node, prefix + "_tensor");
  std::vector<float> floats = node.getFloats(prefix + "_floats");
  std::vector<int64_t> ints = node.getInts(prefix + "_int64s");
  std::vector<std::string> strings = node.getStrings(prefix + "_strings");
  int given =
      int(list.isPresent()) + int(!floats.empty()) + int(!ints.empty()) + int(!strings.empty());
  if (given != 1) {
    node.invalid(fmt::format("needs one of '{0}_floats', '{0}_int64s', '{0}_strings' and "
                             "'{0}_tensor', found {1}",
                             prefix, given));
    return {};
  }
  if (!floats.empty())
    return Tensor::of<float>({static_cast<int64_t>(floats.size())}, floats);
  if (!ints.empty())
    return Tensor::ofInts(ints);
  if (list.isPresent()) {
    if (list.rank() != 1)
      node.invalid(
          fmt::format("attribute '{}_tensor' must have rank 1, found {}", prefix, list.describe()));
    return list;
  }
  auto tensor = Tensor::allocate(DType::String, {static_cast<int64_t>(strings.size())});
  if (!tensor) {
    node.fail(tensor.status());
    return {};
  }
  std::move(strings.begin(), strings.end(), tensor->mutableData<std::string>());
  return tensor.take();
}

/// What elements without a key become, of the type of the values.
static Value readOtherwise(NodeReader &node, DType dtype) {
  double number = node.getFloat("default_float", -0.0);
  int64_t integer = node.getInt("default_int64", -1);
  std::string text = node.getString("default_string", "_Unused");
  Tensor given = readTensorAttribute(node, "default_tensor");
  if (given.isPresent()) {
    if (given.dtype() != dtype || given.numElements() != 1)
      node.invalid(fmt::format("attribute 'default_tensor' must be one {}, found {}",
                               dtypeName(dtype), given.describe()));
    return node.constant(given);
  }
  if (dtype == DType::String)
    return stringConstant(node, text);
  if (isFloat(dtype))
    return convert(node, node.scalarConstant(number, DType::Float32), dtype);
  return convert(node, node.constant(Tensor::of<int64_t>({}, {integer})), dtype);
}

static Value reversed(NodeReader &node, Value list, int64_t count) {
  std::vector<int64_t> places(static_cast<size_t>(count));
  std::iota(places.rbegin(), places.rend(), 0);
  return node.create<nn::GatherOp>(list, node.intsConstant(places), /*axis=*/0);
}

/// From version 4 on the last of equal keys is the one that counts, before the first.
static void importLabelEncoder(NodeReader &node) {
  Tensor keys = readList(node, "keys"), values = readList(node, "values");
  if (node.failed())
    return;
  Value otherwise = readOtherwise(node, values.dtype());
  if (keys.dtype() != node.inputDType(0))
    return node.invalid(fmt::format("input 0 is {}, but the keys are {}",
                                    dtypeName(node.inputDType(0)), dtypeName(keys.dtype())));
  if (keys.dims() != values.dims())
    return node.invalid(
        fmt::format("has {} keys for {} values", keys.numElements(), values.numElements()));
  if (node.failed())
    return;
  Value from = node.constant(keys), to = node.constant(values);
  if (node.opset() < 4) {
    from = reversed(node, from, keys.numElements());
    to = reversed(node, to, keys.numElements());
  }
  node.setOutput(0, node.create<nn::LookupOp>(node.input(0), from, to, otherwise));
}

//===----------------------------------------------------------------------===//
// Maps
//===----------------------------------------------------------------------===//

static void importZipMap(NodeReader &node) {
  ClassLabels labels = readClassLabels(node, "classlabels_int64s");
  if (node.inputDType(0) != DType::Float32)
    return node.invalid(
        fmt::format("input 0 must hold float32, found {}", dtypeName(node.inputDType(0))));
  Value x = readFeatures(node);
  if (node.failed())
    return;
  Value keys =
      labels.areStrings() ? stringsConstant(node, labels.strings) : node.intsConstant(labels.ints);
  node.setOutput(0, node.create<nn::ZipMapOp>(x, keys));
}

/// The keys and the values of input 0; an error unless it is a map of tensors.
static mlir::ResultRange readEntries(NodeReader &node) {
  return node.createMulti<nn::MapEntriesOp>(2, node.input(0));
}

/// [1, count] with the values in their places, of which those from `count` on are left
/// out, and `fill` elsewhere.
static Value placeValues(NodeReader &node, Value places, Value values, Value fill, int64_t count) {
  Value row = node.create<nn::ExpandOp>(fill, node.intsConstant({count + 1}));
  row = node.create<nn::ScatterElementsOp>(row, places, values, ScatterReduction::None,
                                           /*axis=*/0);
  row = node.create<nn::SliceOp>(row, node.intsConstant({0}), node.intsConstant({count}),
                                 node.none(), node.none());
  return node.create<nn::UnsqueezeOp>(row, node.intsConstant({0}));
}

static void importDictVectorizer(NodeReader &node) {
  std::vector<int64_t> ints = node.getInts("int64_vocabulary");
  std::vector<std::string> strings = node.getStrings("string_vocabulary");
  if (ints.empty() == strings.empty())
    return node.invalid("needs either 'int64_vocabulary' or 'string_vocabulary'");
  mlir::ResultRange entries = readEntries(node);
  if (node.failed())
    return;
  Value vocabulary = ints.empty() ? stringsConstant(node, strings) : node.intsConstant(ints);
  auto count = static_cast<int64_t>(std::max(ints.size(), strings.size()));
  Value otherwise = node.constant(Tensor::of<int64_t>({}, {count}));
  Value places = node.create<nn::LookupOp>(
      entries[0], vocabulary, numbersConstant(node, static_cast<size_t>(count)), otherwise);
  DType dtype = dtypeOf(entries[1]);
  Value fill = dtype == DType::String
                   ? stringConstant(node, "")
                   : node.createCast(node.scalarConstant(0, DType::Float32), dtype);
  node.setOutput(0, placeValues(node, places, entries[1], fill, count));
}

static DType readTargetType(NodeReader &node) {
  std::string name = node.getString("cast_to", "TO_FLOAT");
  if (name == "TO_FLOAT")
    return DType::Float32;
  if (name == "TO_INT64")
    return DType::Int64;
  if (name != "TO_STRING")
    node.unsupported(fmt::format("cast_to '{}'", name));
  return DType::String;
}

static void importCastMap(NodeReader &node) {
  DType dtype = readTargetType(node);
  int64_t length = node.getInt("max_map", 1);
  std::string form = node.getString("map_form", "DENSE");
  if (form != "DENSE" && form != "SPARSE")
    return node.unsupported(fmt::format("map_form '{}'", form));
  mlir::ResultRange entries = readEntries(node);
  if (node.failed())
    return;
  if (dtypeOf(entries[0]) != DType::Int64)
    return node.invalid("the keys must be int64, found " +
                        std::string(dtypeName(dtypeOf(entries[0]))));
  Value values = convert(node, entries[1], dtype);
  if (form == "DENSE")
    return node.setOutput(0, node.create<nn::UnsqueezeOp>(values, node.intsConstant({0})));
  if (length < 1 || length > node.graph().limits.maxTensorBytes)
    return node.invalid(fmt::format("max_map is {}", length));
  Value fill = dtype == DType::String
                   ? stringConstant(node, "0.f")
                   : node.createCast(node.scalarConstant(0, DType::Float32), dtype);
  // What is beyond the end goes where it is cut off; a negative key is out of range.
  auto number = [&](int64_t value) { return node.constant(Tensor::of<int64_t>({}, {value})); };
  Value isNegative = node.create<nn::LessOp>(entries[0], number(0));
  Value places = node.create<nn::MinOp>(entries[0], number(length));
  places = node.create<nn::WhereOp>(isNegative, number(length + 1), places);
  node.setOutput(0, placeValues(node, places, values, fill, length));
}

std::span<const OpsetRow> quern::onnx::labelImports() {
  static constexpr OpsetRow rows[] = {
      {"CastMap", 1, kNewestMlOpset, 1, 1, 1, importCastMap, kMlDomain, /*takesAnyValue=*/true},
      {"CategoryMapper", 1, kNewestMlOpset, 1, 1, 1, importCategoryMapper, kMlDomain},
      {"DictVectorizer", 1, kNewestMlOpset, 1, 1, 1, importDictVectorizer, kMlDomain,
       /*takesAnyValue=*/true},
      {"LabelEncoder", 1, 1, 1, 1, 1, importPlainLabelEncoder, kMlDomain},
      {"LabelEncoder", 2, kNewestMlOpset, 1, 1, 1, importLabelEncoder, kMlDomain},
      {"ZipMap", 1, kNewestMlOpset, 1, 1, 1, importZipMap, kMlDomain},
  };
  return rows;
}
