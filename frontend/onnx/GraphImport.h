//===- GraphImport.h - what the nodes of one graph share ------------------===//
#pragma once

#include "frontend/onnx/ExternalData.h"
#include "frontend/onnx/RawData.h"
#include "quern/CheckedSize.h"
#include "quern/Limits.h"

#include "mlir/IR/Builders.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace quern::onnx {

struct Scope;

/// The state of an import that all its nodes share; what only those of one graph or
/// function share is in Scope.
struct GraphImport {
  mlir::OpBuilder builder;
  const Limits &limits;
  /// The file's bytes, where raw_data is.
  MessageBytes source;
  /// The start of the names of weight blobs.
  std::string modelName;
  ExternalFiles files;
  /// The blob of `source`, once there is one.
  std::string sourceBlob = {};
  /// The blobs of external files, by location.
  std::map<std::string, std::string> externalBlobs = {};
  /// Tells blobs of the same name apart.
  int64_t nextBlobNumber = 2;
  /// Nodes imported so far, those of functions and of bodies as often as they are.
  int64_t importedNodes = 0;
  /// Bytes of the elements that importing has made: of constants that are not where the model
  /// has them. A function's are made at each of its calls.
  int64_t constantBytes = 0;
  /// Imports the nodes of a body into `block`, whose arguments are the inputs of
  /// `graph`. The values that it gives, which the caller makes it yield.
  std::function<Expected<llvm::SmallVector<mlir::Value>>(const proto::GraphProto &graph,
                                                         const Scope &around, mlir::Block &block)>
      importBody = {};
  /// The `nn.none` of the function.
  mlir::Value none = {};
  /// What the dialect has complained about since it was last cleared.
  std::string diagnostics = {};
  /// Branches around what is imported now: what breaks a rule there may never run.
  int openBranches = 0;

  /// Counts elements that are about to be made; ResourceLimit when they are too many.
  Status countConstant(CheckedSize bytes);

  /// Whether `error` is what an op has complained about: operands that break its rule.
  bool breaksRule(const Status &error) const {
    return error.code() == StatusCode::InvalidModel && !diagnostics.empty() &&
           error.message().ends_with(diagnostics);
  }
};

} // namespace quern::onnx
