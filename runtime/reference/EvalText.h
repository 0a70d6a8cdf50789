//===- EvalText.h - kernels of the Text family in files of their own ------===//
#pragma once

#include "runtime/reference/Evaluator.h"

namespace quern::reference {

/// Of nn.tf_idf, which needs no regular expressions and is not on strings alone.
std::span<const EvaluatorRow> tfIdfEvaluators();

} // namespace quern::reference
