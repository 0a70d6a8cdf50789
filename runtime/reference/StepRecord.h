//===- StepRecord.h - a reference step of an artefact as bytes ------------===//
//
// What the code of a compiled model hands to the runtime that is linked with it: an op
// with its attributes, and the types of its operands and results. Records are written and
// read by the same version of Quern.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/reference/Evaluator.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quern::reference {

struct StepRecord {
  /// An operand or result; Undefined for one that is left out.
  struct Port {
    DType dtype = DType::Undefined;
    Tensor::Dims dims;
  };
  /// "nn.dft".
  std::string opName;
  std::vector<std::pair<std::string, Attributes::Value>> attributes;
  std::vector<Port> inputs, outputs;
};

std::string writeStepRecord(const StepRecord &record);
/// Internal when the bytes are no record.
Expected<StepRecord> readStepRecord(std::string_view bytes);

/// The symbol of the function that gives the table with the op's kernel (see
/// EvaluatorRow); nullopt when tables have none. An artefact names the table, so that
/// only the kernels of that family are linked.
std::optional<std::string> evaluatorTableSymbol(std::string_view opName);

} // namespace quern::reference
