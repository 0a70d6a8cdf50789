//===- Elementwise.h - the table of elementwise ops -----------------------===//
#pragma once

#include "quern/DType.h"
#include "runtime/reference/ScalarFunction.h"

#include "mlir/IR/Value.h"
#include "mlir/IR/ValueRange.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace quern::nn {

class ScalarEmitter;

/// A float attribute of an elementwise op, with its ONNX default.
struct ElementwiseParam {
  llvm::StringRef name;
  double defaultValue;
};

/// Whether the result has the element type of the operands or is bool.
enum class ResultElement { Same, Bool };

/// The classes of element types an op may work on, or'ed together.
enum ElementClass : unsigned {
  kFloatClass = 1,
  kSignedClass = 2,
  kUnsignedClass = 4,
  kBoolClass = 8,
  kStringClass = 16,
};
/// The class of `dtype`; 0 for types that no elementwise op takes.
unsigned elementClassOf(DType dtype);

/// One row of ElementwiseOps.td.
struct ElementwiseInfo {
  llvm::StringRef opName;   ///< "nn.relu"
  llvm::StringRef onnxName; ///< "Relu"; empty when ONNX has no such op.
  unsigned arity;           ///< Of three operands the first is bool: the condition of `where`.
  ResultElement result;
  unsigned domain; ///< The ElementClasses of the data operands.
  llvm::ArrayRef<ElementwiseParam> params;
  /// Emits the op on scalars or vectors.
  mlir::Value (*emit)(ScalarEmitter &e, mlir::ValueRange args, llvm::ArrayRef<double> params);
  /// The scalar reference.
  ScalarFunctions eval;
};

/// All rows, in the order of ElementwiseOps.td.
llvm::ArrayRef<const ElementwiseInfo *> elementwiseTable();
/// The row with this op name ("nn.relu"), or null.
const ElementwiseInfo *lookupElementwise(llvm::StringRef opName);
/// The row with this ONNX name ("Relu"), or null.
const ElementwiseInfo *lookupElementwiseByOnnxName(llvm::StringRef onnxName);

} // namespace quern::nn
