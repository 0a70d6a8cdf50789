//===- CustomOptions.h - options of custom ops ----------------------------===//
//
// What the options of a custom op mean is known by its kernel alone: bytes in FlexBuffers, or a
// struct as the memory of the program that wrote the file had it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "frontend/tflite/OpReader.h"

namespace quern::tflite {

/// Numbers by name, in FlexBuffers. What is damaged, or is no number, is an error of the op; what
/// is not there is what is said for it.
class NamedOptions {
public:
  explicit NamedOptions(OpReader &op);

  /// From `least` to what 32 bits hold.
  int64_t getInt(const char *name, int64_t least, int64_t otherwise = 0);
  /// Finite, in float32.
  float getFloat(const char *name, float otherwise = 0);
  bool getBool(const char *name, bool otherwise);

private:
  std::optional<double> number(const char *name);

  OpReader &op;
  /// The file's, at an address that suits all numbers, with a zero after them, which ends any name.
  std::vector<uint8_t> bytes;
  size_t size = 0;
};

/// The first `count` fields of a struct whose fields are integers of 32 bits; zeros after an error.
std::vector<int64_t> structOptions(OpReader &op, size_t count);

} // namespace quern::tflite
