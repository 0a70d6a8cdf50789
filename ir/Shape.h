//===- Shape.h - shapes whose sizes are expressions over symbols ----------===//
#pragma once

#include "quern/Status.h"

#include "mlir/IR/AffineExpr.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern::nn {

/// One dimension: a known size, an expression over the symbols of the context
/// ("past + seq"), or unknown. A size that data decides is a symbol of its own.
class Dim {
public:
  /// Unknown.
  Dim() = default;
  Dim(int64_t size) : known(size) {}
  /// The symbol with this name.
  static Dim symbol(mlir::MLIRContext *context, llvm::StringRef name);
  /// A symbol that nothing else is equal to.
  static Dim freshSymbol(mlir::MLIRContext *context);
  /// A constant expression is a size; null is unknown.
  explicit Dim(mlir::AffineExpr expr);

  bool isStatic() const { return known >= 0; }
  bool isSymbolic() const { return static_cast<bool>(expression); }
  bool isUnknown() const { return !isStatic() && !isSymbolic(); }
  bool isStatic(int64_t size) const { return known == size && size >= 0; }
  /// The size of a static dimension.
  int64_t size() const { return known; }
  /// The expression of a symbolic dimension; null for others.
  mlir::AffineExpr expr() const { return expression; }
  /// Whether it says more to the compiler than to the model's user.
  bool hasFreshSymbol() const;
  /// Equal for sure: the same size or the same expression. Unknown equals nothing.
  bool provablyEquals(const Dim &o) const {
    return isStatic() ? known == o.known : isSymbolic() && expression == o.expression;
  }
  /// Cannot be different: false only for two different static sizes.
  bool compatibleWith(const Dim &o) const {
    return !isStatic() || !o.isStatic() || known == o.known;
  }
  /// "3", "N", "(past + seq)" or "?".
  std::string str() const;

private:
  int64_t known = -1;
  mlir::AffineExpr expression;
};

// Unknown when an operand is, when sizes overflow, or when the expression grows too large.
Dim operator+(const Dim &a, const Dim &b);
Dim operator-(const Dim &a, const Dim &b);
Dim operator*(const Dim &a, const Dim &b);
/// Rounded down, by a positive number.
Dim floorDiv(const Dim &a, int64_t divisor);
/// Rounded up, by a positive number.
Dim ceilDiv(const Dim &a, int64_t divisor);

using DimVector = llvm::SmallVector<Dim, 6>;

/// What a size is the product of.
DimVector factorsOf(const Dim &d);

/// A ranked shape. Rank 0 is a scalar.
class Shape {
public:
  Shape() = default;
  explicit Shape(DimVector d) : dimensions(std::move(d)) {}
  static Shape fromSizes(llvm::ArrayRef<int64_t> sizes);

  int64_t rank() const { return static_cast<int64_t>(dimensions.size()); }
  const Dim &operator[](int64_t i) const { return dimensions[i]; }
  Dim &operator[](int64_t i) { return dimensions[i]; }
  const DimVector &dims() const { return dimensions; }
  bool isStatic() const;
  /// The sizes, when all are static.
  std::optional<std::vector<int64_t>> sizes() const;
  /// The number of elements, when static and not overflowing.
  std::optional<int64_t> numElements() const;
  /// "1x3x?xN"; "scalar" for rank 0.
  std::string str() const;

private:
  DimVector dimensions;
};

/// The common dimension of two broadcast ones (ONNX multidirectional rule):
/// 1 yields to the other; two different static sizes other than 1 are an error;
/// a static size above 1 wins over a symbolic or unknown one.
Expected<Dim> broadcastDim(const Dim &a, const Dim &b);
/// NumPy broadcasting of two shapes, aligned at the last dimension.
Expected<Shape> broadcastShapes(const Shape &a, const Shape &b);

/// The expression of an operation on two others, in the form that equal ones share; null when
/// it is too large to compute with.
mlir::AffineExpr combineSizes(mlir::AffineExprKind kind, mlir::AffineExpr a, mlir::AffineExpr b);

/// "(past + seq)": names in quotes where `quoted` says so, as in IR.
void printSize(mlir::AffineExpr expr, bool quoted, llvm::raw_ostream &os);

} // namespace quern::nn
