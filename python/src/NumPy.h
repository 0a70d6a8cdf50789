//===- NumPy.h - tensors and NumPy's arrays -------------------------------===//
//
// Through NumPy's C interface, which costs a fraction of DLPack. NumPy is imported when the
// first array is seen.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Tensor.h"
#include "quern/ValueType.h"

#include <nanobind/nanobind.h>

#include <string>

namespace quern::python {

/// The tensor that a dense, aligned array is, without a copy; nothing keeps the array
/// alive. Costs next to nothing when `tensor` is that of the same array already. False when `value`
/// is not such an array.
bool viewArray(PyObject *value, Tensor &tensor);

/// The tensor of an array, of what gives a DLPack capsule or a buffer, or of numbers and
/// lists, which take the element type of the port. Copies what is not dense or aligned, and
/// strings; keeps alive what it does not copy. Raises TypeError for what is no tensor.
Tensor tensorOf(nanobind::handle value, const ValueType &type);

/// Whether numbers of one type become such of the other as NumPy's casting="same_kind" has it.
bool canCast(DType from, DType to);
/// What the value holds as an array of this type.
nanobind::object castArray(nanobind::handle value, DType dtype);

/// As viewArray, for an output to be computed in; what keeps the value from being that, or
/// nothing. The type of the elements may be one of ml_dtypes, or the integer that stores it.
std::string viewTarget(PyObject *value, const ValueType &type, Tensor &tensor);

/// An array with the tensor's memory, which it keeps alive; of strings, new objects. New
/// reference.
PyObject *arrayOf(Tensor tensor);

/// A new array for a tensor of these dims, and the tensor in its memory; null unless it is
/// small and of a type of NumPy's own. New reference.
PyObject *smallArray(DType dtype, const Tensor::Dims &dims, Tensor &tensor);
/// Whether the tensor's elements are those of the array.
bool isMemoryOf(nanobind::handle array, const Tensor &tensor);

/// "float32" to NumPy's dtype object, or the integer that stores the bits when NumPy and
/// ml_dtypes have no such type.
nanobind::object numpyDtype(DType dtype);

} // namespace quern::python
