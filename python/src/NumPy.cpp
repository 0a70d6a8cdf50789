//===- NumPy.cpp - tensors and NumPy's arrays -----------------------------===//
#include "NumPy.h"

#include "Errors.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace nb = nanobind;
using namespace quern;

static void needNumPy() {
  static const bool imported = [] {
    if (_import_array() < 0)
      throw nb::python_error();
    return true;
  }();
  (void)imported;
}

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

/// Types of the package ml_dtypes, and NumPy's integer for those who do not have it.
static constexpr struct {
  DType dtype;
  const char *name;
  int storage;
} kExtensionTypes[] = {{DType::BFloat16, "bfloat16", NPY_UINT16},
                       {DType::Float8E4M3FN, "float8_e4m3fn", NPY_UINT8},
                       {DType::Float8E4M3FNUZ, "float8_e4m3fnuz", NPY_UINT8},
                       {DType::Float8E5M2, "float8_e5m2", NPY_UINT8},
                       {DType::Float8E5M2FNUZ, "float8_e5m2fnuz", NPY_UINT8},
                       {DType::UInt4, "uint4", NPY_UINT8},
                       {DType::Int4, "int4", NPY_INT8},
                       {DType::Float4E2M1, "float4_e2m1fn", NPY_UINT8},
                       {DType::Float8E8M0, "float8_e8m0fnu", NPY_UINT8},
                       {DType::UInt2, "uint2", NPY_UINT8},
                       {DType::Int2, "int2", NPY_INT8},
                       {DType::Float6E2M3, "float6_e2m3fn", NPY_UINT8},
                       {DType::Float6E3M2, "float6_e3m2fn", NPY_UINT8}};

static DType dtypeOfNumber(int number) {
  switch (number) {
  case NPY_BOOL:
    return DType::Bool;
  case NPY_BYTE:
    return DType::Int8;
  case NPY_UBYTE:
    return DType::UInt8;
  case NPY_SHORT:
    return DType::Int16;
  case NPY_USHORT:
    return DType::UInt16;
  case NPY_INT:
    return DType::Int32;
  case NPY_UINT:
    return DType::UInt32;
  case NPY_LONG:
  case NPY_LONGLONG:
    return DType::Int64;
  case NPY_ULONG:
  case NPY_ULONGLONG:
    return DType::UInt64;
  case NPY_HALF:
    return DType::Float16;
  case NPY_FLOAT:
    return DType::Float32;
  case NPY_DOUBLE:
    return DType::Float64;
  case NPY_CFLOAT:
    return DType::Complex64;
  case NPY_CDOUBLE:
    return DType::Complex128;
  default:
    return DType::Undefined;
  }
}

/// Undefined for strings, objects and what Quern has no type for.
static DType dtypeOfArray(PyArrayObject *array) {
  DType known = dtypeOfNumber(PyArray_TYPE(array));
  if (known != DType::Undefined || PyArray_TYPE(array) < NPY_USERDEF)
    return known;
  auto name = nb::cast<std::string>(
      nb::borrow(reinterpret_cast<PyObject *>(PyArray_DESCR(array))).attr("name"));
  for (const auto &type : kExtensionTypes)
    if (name == type.name)
      return type.dtype;
  return DType::Undefined;
}

static int numberOf(DType dtype) {
  switch (dtype) {
  case DType::Bool:
    return NPY_BOOL;
  case DType::Int8:
    return NPY_INT8;
  case DType::UInt8:
    return NPY_UINT8;
  case DType::Int16:
    return NPY_INT16;
  case DType::UInt16:
    return NPY_UINT16;
  case DType::Int32:
    return NPY_INT32;
  case DType::UInt32:
    return NPY_UINT32;
  case DType::Int64:
    return NPY_INT64;
  case DType::UInt64:
    return NPY_UINT64;
  case DType::Float16:
    return NPY_FLOAT16;
  case DType::Float32:
    return NPY_FLOAT32;
  case DType::Float64:
    return NPY_FLOAT64;
  case DType::Complex64:
    return NPY_COMPLEX64;
  case DType::Complex128:
    return NPY_COMPLEX128;
  case DType::String:
    return NPY_OBJECT;
  default:
    return -1;
  }
}

nb::object python::numpyDtype(DType dtype) {
  needNumPy();
  if (int number = numberOf(dtype); number >= 0)
    return nb::steal(reinterpret_cast<PyObject *>(PyArray_DescrFromType(number)));
  for (const auto &type : kExtensionTypes) {
    if (type.dtype != dtype)
      continue;
    nb::object found = nb::module_::import_("quern._dtypes").attr("extension_dtype")(type.name);
    if (!found.is_none())
      return found;
    return nb::steal(reinterpret_cast<PyObject *>(PyArray_DescrFromType(type.storage)));
  }
  throw nb::type_error("a value has no element type");
}

/// Whether elements of NumPy's integer type `found` are taken for the bits of `wanted`.
static bool isStorageOf(DType found, DType wanted) {
  for (const auto &type : kExtensionTypes)
    if (type.dtype == wanted && dtypeOfNumber(type.storage) == found)
      return true;
  return false;
}

//===----------------------------------------------------------------------===//
// From Python
//===----------------------------------------------------------------------===//

static Tensor viewOf(PyArrayObject *array, DType dtype, std::shared_ptr<const void> owner) {
  const npy_intp *dims = PyArray_DIMS(array);
  return Tensor::borrow(dtype, Tensor::Dims(dims, dims + PyArray_NDIM(array)), PyArray_DATA(array),
                        std::move(owner));
}

static bool isDense(PyArrayObject *array) {
  constexpr int flags = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED;
  return (PyArray_FLAGS(array) & flags) == flags && !PyArray_ISBYTESWAPPED(array);
}

bool python::viewArray(PyObject *value, Tensor &tensor) {
  needNumPy();
  if (!PyArray_Check(value))
    return false;
  auto *array = reinterpret_cast<PyArrayObject *>(value);
  DType dtype = dtypeOfNumber(PyArray_TYPE(array));
  if (dtype == DType::Undefined || !isDense(array))
    return false;
  const npy_intp *dims = PyArray_DIMS(array);
  if (tensor.dtype() == dtype && tensor.rawData() == PyArray_DATA(array) && !tensor.isOwner() &&
      std::equal(tensor.dims().begin(), tensor.dims().end(), dims, dims + PyArray_NDIM(array)))
    return true;
  tensor = viewOf(array, dtype, nullptr);
  return true;
}

/// Keeps a Python object alive from C++, whichever thread lets it go.
static std::shared_ptr<const void> keep(nb::object object) {
  PyObject *pointer = object.release().ptr();
  return {pointer, [](const void *kept) {
            if (!Py_IsInitialized())
              return;
            nb::gil_scoped_acquire lock;
            Py_DECREF(static_cast<PyObject *>(const_cast<void *>(kept)));
          }};
}

static Tensor stringsOf(nb::handle array) {
  auto shape = nb::cast<std::vector<int64_t>>(nb::list(array.attr("shape")));
  nb::list elements(array.attr("ravel")().attr("tolist")());
  Tensor tensor = python::valueOf(Tensor::allocate(DType::String, std::move(shape)));
  auto *to = tensor.mutableData<std::string>();
  for (nb::handle element : elements) {
    nb::object text = PyBytes_Check(element.ptr())
                          ? nb::borrow(element)
                          : nb::steal(PyUnicode_AsEncodedString(nb::str(element).ptr(), "utf-8",
                                                                "surrogateescape"));
    if (!text.is_valid())
      throw nb::python_error();
    char *bytes = nullptr;
    Py_ssize_t size = 0;
    if (PyBytes_AsStringAndSize(text.ptr(), &bytes, &size) < 0)
      throw nb::python_error();
    (to++)->assign(bytes, static_cast<size_t>(size));
  }
  return tensor;
}

/// Of a type with less than 8 bits an element has a byte, of which NumPy's side leaves the upper
/// bits undefined: sign-extended or cleared, in a copy.
static Tensor withDefinedBits(const Tensor &tensor) {
  int unused = 8 - dtypeBits(tensor.dtype());
  Tensor copy = python::valueOf(Tensor::allocateUninitialized(tensor.dtype(), tensor.dims()));
  auto *to = static_cast<uint8_t *>(copy.mutableRawData());
  const auto *from = static_cast<const uint8_t *>(tensor.rawData());
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    auto shifted = static_cast<uint8_t>(from[i] << unused);
    to[i] = isSignedInteger(tensor.dtype())
                ? static_cast<uint8_t>(static_cast<int8_t>(shifted) >> unused)
                : static_cast<uint8_t>(shifted >> unused);
  }
  return copy;
}

/// A CPU tensor of bfloat16 from DLPack, which NumPy does not read.
static bool readBFloat16(nb::handle value, Tensor &tensor) {
  using Array = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
  Array array;
  if (!nb::try_cast(value, array) ||
      array.dtype() != nb::dlpack::dtype{uint8_t(nb::dlpack::dtype_code::Bfloat), 16, 1})
    return false;
  Tensor::Dims dims;
  for (size_t i = 0; i < array.ndim(); ++i)
    dims.push_back(static_cast<int64_t>(array.shape(i)));
  const void *data = array.data();
  auto owner = std::shared_ptr<Array>(new Array(std::move(array)), [](Array *kept) {
    if (!Py_IsInitialized())
      return;
    nb::gil_scoped_acquire lock;
    delete kept;
  });
  tensor = Tensor::borrow(DType::BFloat16, std::move(dims), data, std::move(owner));
  return true;
}

/// What is no array as one; numbers and lists take the element type of the port.
static nb::object asArray(nb::handle value, const ValueType &type) {
  nb::module_ numpy = nb::module_::import_("numpy");
  if (nb::hasattr(value, "__dlpack__"))
    return nb::module_::import_("quern._dtypes").attr("from_dlpack")(value);
  bool hasOwnType = nb::hasattr(value, "__array__") || nb::hasattr(value, "dtype") ||
                    PyObject_CheckBuffer(value.ptr());
  if (hasOwnType || type.dtype == DType::Undefined)
    return numpy.attr("asarray")(value);
  return numpy.attr("asarray")(value, python::numpyDtype(type.dtype));
}

Tensor python::tensorOf(nb::handle value, const ValueType &type) {
  needNumPy();
  nb::object array = nb::borrow(value);
  Tensor tensor;
  if (!PyArray_Check(value.ptr())) {
    if (value.is_none())
      throw nb::type_error("None is no tensor");
    if (type.dtype == DType::BFloat16 && nb::hasattr(value, "__dlpack__") &&
        readBFloat16(value, tensor))
      return tensor;
    array = asArray(value, type);
    if (!PyArray_Check(array.ptr()))
      throw nb::type_error("the value cannot be made a NumPy array");
  }
  auto *view = reinterpret_cast<PyArrayObject *>(array.ptr());
  DType dtype = dtypeOfArray(view);
  if (dtype == DType::Undefined) {
    if (type.dtype == DType::String || type.dtype == DType::Undefined)
      return stringsOf(array);
    nb::object found = array.attr("dtype").attr("name");
    throw nb::type_error(
        ("an array of NumPy type '" + nb::cast<std::string>(found) + "' cannot be read").c_str());
  }
  if (isStorageOf(dtype, type.dtype))
    dtype = type.dtype;
  if (!isDense(view)) {
    PyArray_Descr *native = PyArray_DescrNewByteorder(PyArray_DESCR(view), NPY_NATIVE);
    array = nb::steal(PyArray_FromArray(view, native, NPY_ARRAY_CARRAY_RO));
    if (!array.is_valid())
      throw nb::python_error();
    view = reinterpret_cast<PyArrayObject *>(array.ptr());
  }
  tensor = viewOf(view, dtype, keep(std::move(array)));
  bool hasSpareBits = dtypeBits(dtype) > 0 && dtypeBits(dtype) < 8 && dtype != DType::Bool;
  return hasSpareBits ? withDefinedBits(tensor) : tensor;
}

bool python::canCast(DType from, DType to) {
  needNumPy();
  int fromNumber = numberOf(from), toNumber = numberOf(to);
  if (fromNumber < 0 || toNumber < 0 || from == DType::String || to == DType::String)
    return false;
  PyArray_Descr *fromType = PyArray_DescrFromType(fromNumber);
  PyArray_Descr *toType = PyArray_DescrFromType(toNumber);
  bool can = PyArray_CanCastTypeTo(fromType, toType, NPY_SAME_KIND_CASTING) != 0;
  Py_DECREF(fromType);
  Py_DECREF(toType);
  return can;
}

nb::object python::castArray(nb::handle value, DType dtype) {
  nb::object array = nb::hasattr(value, "__dlpack__") && !PyArray_Check(value.ptr())
                         ? asArray(value, ValueType::tensor(DType::Undefined))
                         : nb::module_::import_("numpy").attr("asarray")(value);
  return array.attr("astype")(numpyDtype(dtype));
}

std::string python::viewTarget(PyObject *value, const ValueType &type, Tensor &tensor) {
  needNumPy();
  if (!PyArray_Check(value))
    return "wanted a NumPy array, found " + typeName(value);
  auto *array = reinterpret_cast<PyArrayObject *>(value);
  DType dtype = dtypeOfArray(array);
  if (isStorageOf(dtype, type.dtype))
    dtype = type.dtype;
  if (dtype == DType::Undefined)
    return "an array of NumPy type '" +
           nb::cast<std::string>(nb::borrow(value).attr("dtype").attr("name")) +
           "' cannot be computed in";
  if (!isDense(array) || !PyArray_ISWRITEABLE(array))
    return "wanted a dense, aligned, writable NumPy array";
  tensor = viewOf(array, dtype, nullptr);
  return {};
}

//===----------------------------------------------------------------------===//
// To Python
//===----------------------------------------------------------------------===//

static PyObject *arrayOfStrings(const Tensor &tensor) {
  PyObject *array =
      PyArray_SimpleNew(static_cast<int>(tensor.rank()), tensor.dims().data(), NPY_OBJECT);
  if (!array)
    throw nb::python_error();
  auto **to = static_cast<PyObject **>(PyArray_DATA(reinterpret_cast<PyArrayObject *>(array)));
  for (const std::string &text : tensor.elementsAs<std::string>()) {
    PyObject *made =
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
    if (!made) {
      Py_DECREF(array);
      throw nb::python_error();
    }
    PyObject *before = std::exchange(*to++, made);
    Py_XDECREF(before);
  }
  return array;
}

PyObject *python::smallArray(DType dtype, const Tensor::Dims &dims, Tensor &tensor) {
  constexpr int64_t kMostBytes = 4096;
  int number = numberOf(dtype);
  CheckedSize bytes = CheckedSize::product(dims) * CheckedSize(dtypeBytes(dtype));
  if (number < 0 || dtype == DType::String || !bytes.valid() || bytes.value() == 0 ||
      bytes.value() > kMostBytes || dims.size() > NPY_MAXDIMS)
    return nullptr;
  PyObject *array = PyArray_SimpleNew(static_cast<int>(dims.size()), dims.data(), number);
  if (!array)
    throw nb::python_error();
  tensor = viewOf(reinterpret_cast<PyArrayObject *>(array), dtype, nullptr);
  return array;
}

bool python::isMemoryOf(nb::handle array, const Tensor &tensor) {
  return PyArray_DATA(reinterpret_cast<PyArrayObject *>(array.ptr())) == tensor.rawData();
}

static void releaseTensor(PyObject *capsule) {
  delete static_cast<Tensor *>(PyCapsule_GetPointer(capsule, nullptr));
}

PyObject *python::arrayOf(Tensor tensor) {
  needNumPy();
  if (tensor.rank() > NPY_MAXDIMS)
    throw nb::value_error("a result has more dimensions than NumPy's arrays can have");
  if (tensor.dtype() == DType::String)
    return arrayOfStrings(tensor);
  int number = numberOf(tensor.dtype());
  PyArray_Descr *descr =
      number >= 0 ? PyArray_DescrFromType(number)
                  : reinterpret_cast<PyArray_Descr *>(numpyDtype(tensor.dtype()).release().ptr());
  auto kept = std::make_unique<Tensor>(std::move(tensor));
  PyObject *array = PyArray_NewFromDescr(
      &PyArray_Type, descr, static_cast<int>(kept->rank()),
      const_cast<npy_intp *>(kept->dims().data()), nullptr, kept->mutableRawData(),
      NPY_ARRAY_WRITEABLE | NPY_ARRAY_ALIGNED | NPY_ARRAY_C_CONTIGUOUS, nullptr);
  if (!array)
    throw nb::python_error();
  PyObject *owner = PyCapsule_New(kept.get(), nullptr, releaseTensor);
  if (!owner) {
    Py_DECREF(array);
    throw nb::python_error();
  }
  kept.release();
  // Takes the capsule, also when it fails.
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject *>(array), owner) < 0) {
    Py_DECREF(array);
    throw nb::python_error();
  }
  return array;
}
