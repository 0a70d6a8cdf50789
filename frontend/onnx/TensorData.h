//===- TensorData.h - elements of TensorProtos ----------------------------===//
#pragma once

#include "quern/Limits.h"
#include "quern/Status.h"
#include "quern/Tensor.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace onnx {
class TensorProto;
}

namespace quern::onnx {

/// Type and dims of a TensorProto, checked.
struct TensorLayout {
  DType dtype = DType::Undefined;
  Tensor::Dims dims;
  int64_t elements = 0;
  /// Bytes of the elements in raw form (int4 packed two to a byte; 0 for strings).
  int64_t rawBytes = 0;
};

/// A known element type, dims without overflow and within the limits, and data
/// of exactly the size they need. For external data only the former.
Expected<TensorLayout> checkTensor(const ::onnx::TensorProto &tensor, const Limits &limits);

/// The elements in `raw` (little-endian, as ONNX stores them), borrowed from
/// `owner` when there is one and the form in memory is the same.
Expected<Tensor> decodeRawTensor(const TensorLayout &layout, std::span<const std::byte> raw,
                                 std::shared_ptr<const void> owner, const Limits &limits);

/// The elements of a tensor whose data lies in the message itself. `owner`, when
/// given, keeps the message alive and lets the result borrow from it.
Expected<Tensor> decodeTensor(const ::onnx::TensorProto &tensor, const Limits &limits,
                              std::shared_ptr<const void> owner = nullptr);

/// A tensor that knows its ONNX value name ("" when the file has none).
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Reads a .pb file with one TensorProto, such as ONNX's test data.
Expected<NamedTensor> readTensorFile(const std::string &path, const Limits &limits = {});

} // namespace quern::onnx
