//===- ShapeFacts.h - what shape rules may know ---------------------------===//
#pragma once

#include "ir/Constants.h"
#include "ir/Shape.h"
#include "ir/Types.h"

#include <optional>

namespace quern::nn {

/// What a shape rule may ask of an op's operands. By their types and constants when
/// a graph is verified and optimised; by numbers when it is instantiated.
class ShapeFacts {
public:
  virtual ~ShapeFacts() = default;
  /// nullopt while the rank is unknown, and for `nn.none`.
  virtual std::optional<Shape> shapeOf(mlir::Value value) const = 0;
  /// The elements, where they are known before the run.
  virtual std::optional<Tensor> tensorOf(mlir::Value value) const = 0;
  /// The elements of an integer vector or scalar as sizes; each may be unknown.
  virtual std::optional<DimVector> dimsIn(mlir::Value value) const = 0;

  /// The elements of an integer vector or scalar.
  std::optional<std::vector<int64_t>> integersOf(mlir::Value value) const {
    std::optional<Tensor> tensor = tensorOf(value);
    return tensor ? nn::integersOf(*tensor) : std::nullopt;
  }
  /// The static number of elements of an index vector (1 for a scalar).
  std::optional<int64_t> lengthOf(mlir::Value vector) const {
    std::optional<Shape> shape = shapeOf(vector);
    return shape ? shape->numElements() : std::nullopt;
  }
};

/// What types and constants tell.
class TypeFacts : public ShapeFacts {
public:
  std::optional<Shape> shapeOf(mlir::Value value) const override { return nn::shapeOf(value); }
  std::optional<Tensor> tensorOf(mlir::Value value) const override { return constantTensor(value); }
  std::optional<DimVector> dimsIn(mlir::Value value) const override;
};

/// The type that a shape rule gives a result.
struct InferredType {
  /// Of what is no tensor, its type.
  mlir::Type elementType;
  /// nullopt while the rank is unknown.
  std::optional<Shape> shape;
  Layout layout = {};

  /// The type of the tensor; the type of what is none.
  mlir::Type type() const;
};
using InferredTypes = llvm::FailureOr<llvm::SmallVector<InferredType, 1>>;

} // namespace quern::nn
