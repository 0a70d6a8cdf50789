//===- ValueData.h - sequences, optionals and maps in .pb files -----------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/Limits.h"

#include <string>

namespace quern::onnx {

/// Reads a .pb file with one value of this type, such as ONNX's test data: the file does
/// not say what it holds. Errors name the file. InvalidInput when it is another value.
Expected<AnyValue> readValueFile(const std::string &path, const ValueType &type,
                                 const Limits &limits = {});

/// The bytes of such a file.
Expected<std::string> serializeValue(const AnyValue &value, const std::string &name);

} // namespace quern::onnx
