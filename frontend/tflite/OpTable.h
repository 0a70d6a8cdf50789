//===- OpTable.h - TensorFlow Lite's ops to import functions --------------===//
#pragma once

#include "frontend/tflite/OpReader.h"

#include <span>
#include <string_view>

namespace quern::tflite {

/// One op.
struct OpRow {
  file::BuiltinOperator op;
  int minInputs;
  int maxInputs;
  void (*import)(OpReader &op);
  int minOutputs = 1;
  /// The name of a custom op, whose number is CUSTOM.
  std::string_view custom = {};
};

/// maxInputs of an op that takes any number.
inline constexpr int kAnyNumber = 1 << 20;

/// The op's row, of a custom op by its name; null when it is not supported.
const OpRow *lookupOp(file::BuiltinOperator op, std::string_view custom);

// One table per op family, each in Import<Family>.cpp.
std::span<const OpRow> controlFlowImports();
std::span<const OpRow> convImports();
std::span<const OpRow> detectionImports();
std::span<const OpRow> elementwiseImports();
std::span<const OpRow> gatherImports();
std::span<const OpRow> lstmImports();
std::span<const OpRow> movementImports();
std::span<const OpRow> normImports();
std::span<const OpRow> poolImports();
std::span<const OpRow> productImports();
std::span<const OpRow> quantizationImports();
std::span<const OpRow> reductionImports();
std::span<const OpRow> resizeImports();
std::span<const OpRow> rnnImports();
std::span<const OpRow> signalImports();
std::span<const OpRow> sliceImports();

} // namespace quern::tflite
