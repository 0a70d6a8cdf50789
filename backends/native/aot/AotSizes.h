//===- AotSizes.h - the sizes that plans are made for ---------------------===//
#pragma once

#include "backends/native/aot/AotPlans.h"
#include "quern/ListedSize.h"

namespace quern::native {

/// The dims of the inputs of `main` for each combination of listed sizes, in the order of
/// combineSizes; none when nothing is listed. A dimension "past + seq" follows from listed
/// ones. UsageError when no input has a dimension of a listed name, or sizes stay unknown:
/// the inputs are named.
Expected<std::vector<PlannedSizes>> planSizes(mlir::func::FuncOp main,
                                              std::span<const ListedSize> listed);

} // namespace quern::native
