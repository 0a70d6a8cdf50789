//===- ImportState.h - what all of an import shares -----------------------===//
#pragma once

#include "frontend/SourceBytes.h"
#include "quern/CheckedSize.h"
#include "quern/Limits.h"

#include "mlir/IR/Builders.h"

#include <string>

namespace quern::frontend {

/// The state of an import that all its nodes share, whatever the model's format.
struct ImportState {
  mlir::OpBuilder builder;
  const Limits &limits;
  /// The start of the names of weight blobs.
  std::string modelName;
  /// The `nn.none` of the function.
  mlir::Value none = {};
  /// What the dialect has complained about since it was last cleared.
  std::string diagnostics = {};
  /// Tells blobs of the same name apart.
  int64_t nextBlobNumber = 2;
  /// Bytes of the elements that importing has made: of constants that are not where the model
  /// has them. A function's are made at each of its calls.
  int64_t constantBytes = 0;

  /// Counts elements that are about to be made; ResourceLimit when they are too many.
  Status countConstant(CheckedSize bytes);
  /// The name in the context's weight store under which it has these bytes from now on, like
  /// `wanted`.
  std::string addBlob(const std::string &wanted, const SourceBytes &blob);
};

/// From this size on a tensor is a reference to where the model has it, instead of an attribute.
inline constexpr int64_t kReferenceBytes = 1024;

} // namespace quern::frontend
