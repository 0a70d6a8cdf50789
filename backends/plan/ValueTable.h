//===- ValueTable.h - what is known of values before a run ----------------===//
#pragma once

#include "quern/DType.h"
#include "quern/Tensor.h"

#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace quern::plan {

/// The element type of a tensor value.
DType dtypeOfValue(mlir::Value value);
/// The product of `sizes`; 1 when there are none.
int64_t productOf(llvm::ArrayRef<int64_t> sizes);

/// The sizes of a graph's values, and the elements of those that sizes depend on, for
/// one set of input sizes. Static types and constants speak for themselves; the
/// table holds the rest.
class ValueTable {
public:
  bool hasSizes(mlir::Value value) const;
  /// The sizes of a value that has them.
  llvm::ArrayRef<int64_t> sizesOf(mlir::Value value) const;
  /// Their product.
  int64_t elementsOf(mlir::Value value) const { return productOf(sizesOf(value)); }
  /// The elements; nullopt when only the run can tell.
  std::optional<Tensor> tensorOf(mlir::Value value) const;
  /// The same of an integer vector or scalar.
  std::optional<std::vector<int64_t>> integersOf(mlir::Value value) const;

  void setSizes(mlir::Value value, llvm::ArrayRef<int64_t> sizes);
  void setTensor(mlir::Value value, Tensor tensor);

private:
  llvm::DenseMap<mlir::Value, llvm::SmallVector<int64_t, 6>> sizes;
  llvm::DenseMap<mlir::Value, Tensor> tensors;
};

} // namespace quern::plan
