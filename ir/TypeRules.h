//===- TypeRules.h - pieces of the ops' shape rules -----------------------===//
//
// What the `inferResultTypes` of the op families have in common. Every check
// emits an error on the op that says what was wanted and what was found.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "ir/ShapeFacts.h"

#include "mlir/IR/Operation.h"

namespace quern::nn::detail {

/// A shape of unknown dimensions.
Shape unknownShape(int64_t rank);

/// One result of unknown rank.
InferredTypes unrankedResult(mlir::Type elementType);
/// One result of this shape; an error when its rank is above the limit or its
/// static sizes overflow.
InferredTypes rankedResult(mlir::Operation *op, const Shape &shape, mlir::Type elementType,
                           Layout layout = {});
/// One result of which only the rank is known.
InferredTypes resultOfRank(mlir::Operation *op, int64_t rank, mlir::Type elementType);

/// One result of the type of `value`.
InferredTypes typeOf(mlir::Value value, const ShapeFacts &facts);

/// Fails unless the elements are numbers (not bool, string or complex).
mlir::LogicalResult requireNumbers(mlir::Operation *op, mlir::Value tensor, llvm::StringRef name);
/// Fails unless the elements are integers of 8 bits.
mlir::LogicalResult requireBytes(mlir::Operation *op, mlir::Value tensor, llvm::StringRef name);
/// Fails unless the elements are floats.
mlir::LogicalResult requireFloats(mlir::Operation *op, mlir::Value tensor, llvm::StringRef name);
/// Fails unless `tensor` is none or has the element type of `like`.
mlir::LogicalResult requireSameElements(mlir::Operation *op, mlir::Value tensor,
                                        llvm::StringRef name, mlir::Value like);
/// The element type of sums of products of `a` and `b`, the first two operands of `op`: theirs, or
/// the wider one that the type of its result says, which is i32 for 8-bit integers of any sign and
/// f32 for float16 and bfloat16. Fails when the operands do not go together.
mlir::FailureOr<mlir::Type> sumTypeOf(mlir::Operation *op, llvm::StringRef a, llvm::StringRef b);
/// The same of products whose second factor may be of 16 bits where the first is f32, as are the
/// sums.
mlir::FailureOr<mlir::Type> sumTypeByWeights(mlir::Operation *op, llvm::StringRef a,
                                             llvm::StringRef b);
/// Fails unless `tensor`, what is added to such sums, is none or has their type.
mlir::LogicalResult requireAddend(mlir::Operation *op, mlir::Value tensor, llvm::StringRef name,
                                  mlir::Type sums);
/// Fails unless `tensor` is none, or an integer (int32 or int64) of rank at most `maxRank`.
mlir::LogicalResult requireIndices(const ShapeFacts &facts, mlir::Operation *op, mlir::Value tensor,
                                   llvm::StringRef name, int64_t maxRank);
/// Fails unless `axis` is one index.
mlir::LogicalResult requireScalarAxis(const ShapeFacts &facts, mlir::Operation *op,
                                      mlir::Value axis);
/// Fails when `rank`, which may be anything in an untrusted file, is above the limit.
mlir::LogicalResult requireSaneRank(mlir::Operation *op, int64_t rank);
/// Fails unless `shape` has at least `rank` dimensions.
mlir::LogicalResult requireRankAtLeast(mlir::Operation *op, const Shape &shape, int64_t rank);
/// Fails when a dimension differs from `expected` for sure.
mlir::LogicalResult requireDim(mlir::Operation *op, const Dim &found, const Dim &expected,
                               const llvm::Twine &what);

/// `axis` counted from the front; an error outside [-rank, rank).
llvm::FailureOr<int64_t> resolveAxis(mlir::Operation *op, int64_t axis, int64_t rank);
/// As above for a list, in which no axis may occur twice.
llvm::FailureOr<llvm::SmallVector<int64_t>> resolveAxes(mlir::Operation *op,
                                                        llvm::ArrayRef<int64_t> axes, int64_t rank);

/// Makes the shape of a channel-blocked tensor of that of the row-major one.
void putIntoBlocks(DimVector &dims, int64_t block);
/// The dimension that two tensors agree on: the better known of two compatible ones.
Dim mergeDims(const Dim &a, const Dim &b);
/// The product of some dimensions. An error on overflow of the static ones.
llvm::FailureOr<Dim> productOf(mlir::Operation *op, llvm::ArrayRef<Dim> dims);

} // namespace quern::nn::detail
