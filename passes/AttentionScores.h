//===- AttentionScores.h - what the softmax of an attention is taken of ---===//
#pragma once

#include "ir/NNDialect.h"
#include "passes/CausalMask.h"
#include "quern/Reason.h"

#include "mlir/IR/PatternMatch.h"

#include <optional>

namespace quern::passes {

/// The value of a constant of one element, of float32, float16 or bfloat16.
std::optional<double> numberOf(mlir::Value value);
/// Whether `value` is [batch, heads, rows, size] of such an element type.
bool hasHeads(mlir::Value value);
/// The same of float32.
bool hasWideHeads(mlir::Value value);
/// What `value` is a float32 copy of, which holds a half type; null when it is none.
mlir::Value halfOf(mlir::Value value);

/// Whether `many`, [batch, heads, rows, size], and `few` have the same elements, the rows of
/// consecutive heads being those of one. Says nothing of the number of rows.
bool isRegrouped(mlir::Value many, mlir::Value few);
/// Whether dimension `i` of both is certainly the same.
bool haveSame(int64_t i, mlir::Value a, mlir::Value b);
/// Whether the product of `a` and `b` certainly pairs their heads, or one has one head.
bool multipliesHeads(mlir::Value a, mlir::Value b);

/// Numbers that multiply the scores.
struct Factors {
  double constant = 1;
  llvm::SmallVector<mlir::Value, 2> multipliers, divisors;
  /// The ops that multiply.
  llvm::SmallVector<mlir::Operation *> ops;

  /// Takes a multiplication or division by one number in; what is multiplied. Null when
  /// `value` is none.
  mlir::Value take(mlir::Value value);
  /// The product of those that are not constant, in float32; null when there are none.
  mlir::Value create(mlir::PatternRewriter &rewriter, mlir::Location loc) const;
};

/// What happens to scores on their way from the product to the softmax: a mask is added, a
/// condition says where they become a number, or a half type is widened.
struct ScoreStep {
  enum Kind { Add, Hide, Widen } kind = Widen;
  mlir::Operation *op = nullptr;
  /// The mask, the condition.
  mlir::Value operand;
  double fill = 0;
  bool hiddenWhereTrue = false;
};

/// What computes the scores of a softmax.
struct Scores {
  nn::MatMulOp product;
  /// The queries of the product, before heads that share keys were put together; then they may be
  /// of a half type.
  mlir::Value queries;
  Factors factors;
  double softcap = 0;
  /// The first is the one before the softmax.
  llvm::SmallVector<ScoreStep, 4> steps;
  /// The mask that hides later keys, once takeCausalMask has found it among the steps.
  std::optional<CausalMask> causal;
  /// The half type that products are rounded to, and whether masks are added in it.
  mlir::Type rounded;
  bool roundsSums = false;
  /// All that this stands for.
  llvm::SmallVector<mlir::Operation *> ops;
};

/// Fills `scores` with what computes `value` when its steps are known: what the product, which is
/// scaled, bent, rounded and regrouped, each used once, is of. Why it
/// cannot, if it cannot.
std::optional<Reason> matchProduct(mlir::Value value, Scores &scores);
/// Finds the steps from the product on as well.
std::optional<Reason> matchScores(mlir::Value value, Scores &scores);
/// Takes a mask that hides later keys out of the steps.
void takeCausalMask(Scores &scores);

/// What nn.attention takes instead of the steps: null values when there are none.
struct ScoreMasks {
  mlir::Value mask, condition;
  double hidden = 0;
};
ScoreMasks createMasks(mlir::PatternRewriter &rewriter, mlir::Location loc, const Scores &scores);

} // namespace quern::passes
