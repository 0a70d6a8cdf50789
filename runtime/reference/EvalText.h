//===- EvalText.h - kernels of the Text family in files of their own ------===//
#pragma once

#include "runtime/reference/Evaluator.h"

namespace quern::reference {

/// nn.tf_idf.
Expected<std::vector<Tensor>> evalTfIdf(const OpCall &call);

} // namespace quern::reference
