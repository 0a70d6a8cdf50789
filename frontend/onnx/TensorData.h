//===- TensorData.h - elements of TensorProtos ----------------------------===//
#pragma once

#include "frontend/RawTensor.h"
#include "frontend/onnx/RawData.h"
#include "quern/Limits.h"
#include "quern/Status.h"
#include "quern/Tensor.h"

#include <cstddef>
#include <span>
#include <string>

namespace quern::onnx {

using frontend::decodeRawTensor;
using frontend::TensorLayout;

/// A known element type, dims without overflow and within the limits, and data
/// of exactly the size they need. For external data only the former. `source` is
/// what the message was parsed from.
Expected<TensorLayout> checkTensor(const proto::TensorProto &tensor, const SourceBytes &source,
                                   const Limits &limits);

/// A copy of the elements of a tensor whose data lies in the message itself or in
/// `source`, what the message was parsed from.
Expected<Tensor> decodeTensor(const proto::TensorProto &tensor, const SourceBytes &source,
                              const Limits &limits);

/// A tensor that knows its ONNX value name ("" when the file has none).
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Reads a .pb file with one TensorProto, such as ONNX's test data.
Expected<NamedTensor> readTensorFile(const std::string &path, const Limits &limits = {});

} // namespace quern::onnx
