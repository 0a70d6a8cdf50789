//===- Scores.h - what the models of ai.onnx.ml have in common ------------===//
//
// Where the specification leaves open what a model with one score means, they do as
// ONNX Runtime does.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/compose/Composition.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern::onnx {

/// The domain of the ops for classical machine learning, and its newest version.
inline constexpr std::string_view kMlDomain = "ai.onnx.ml";
inline constexpr int64_t kNewestMlOpset = 5;

/// What becomes of scores at last. The values are those of TreeEnsemble's attribute.
enum class PostTransform { None, Softmax, Logistic, SoftmaxZero, Probit };

/// The attribute `post_transform` by its name; None after an error.
PostTransform readPostTransform(NodeReader &node);
/// Scores [rows, columns] transformed row by row, where there are two columns or more.
/// Of a single column ONNX Runtime transforms nothing but by Probit.
mlir::Value transformScores(NodeReader &node, mlir::Value scores, int64_t columns,
                            PostTransform transform);
/// One score for each row, [rows, 1], as two: 1 - s and s, or what mirrorScores gives where
/// the logistic function or Probit is asked for.
mlir::Value complementScores(NodeReader &node, mlir::Value scores, PostTransform transform);
/// The same as -s and s, both through the logistic function where it is asked for; by
/// Probit the quantile and 0.
mlir::Value mirrorScores(NodeReader &node, mlir::Value scores, PostTransform transform);

/// Input 0 as [rows, features], which a vector is one row of; integers as float32, and
/// floats as they are but for those of fewer bits.
mlir::Value readFeatures(NodeReader &node);
/// A constant of floats of the type of `like`, as [rows, columns] or, without columns,
/// as a vector. There are as many values.
mlir::Value floatsLike(NodeReader &node, std::span<const float> values, mlir::Value like,
                       int64_t columns = 0);
/// The tensor in an attribute; absent when there is none, and after an error.
Tensor readTensorAttribute(NodeReader &node, std::string_view name);
/// A constant vector of strings.
mlir::Value stringsConstant(NodeReader &node, const std::vector<std::string> &strings);

/// The names of classes, integers or strings.
struct ClassLabels {
  std::vector<int64_t> ints;
  std::vector<std::string> strings;

  bool areStrings() const { return !strings.empty(); }
  int64_t count() const {
    return static_cast<int64_t>(areStrings() ? strings.size() : ints.size());
  }
};
/// Reads them; an error unless there are some, in one of the attributes.
ClassLabels readClassLabels(NodeReader &node, std::string_view intsName);
/// The label for each number of a class.
mlir::Value createLabels(NodeReader &node, const ClassLabels &labels, mlir::Value numbers);
/// Of two classes the second one for each row of [rows, 1] where `isSecond` holds. The label of
/// a single class is that of all rows, but the integer 1: that tells it from 0.
mlir::Value createBinaryLabels(NodeReader &node, const ClassLabels &labels, mlir::Value isSecond);
/// The number of the largest element of each row.
mlir::Value createTopClass(NodeReader &node, mlir::Value scores);

} // namespace quern::onnx
