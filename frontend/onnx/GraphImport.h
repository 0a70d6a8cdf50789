//===- GraphImport.h - what the nodes of one graph share ------------------===//
#pragma once

#include "frontend/ImportState.h"
#include "frontend/onnx/ExternalData.h"
#include "frontend/onnx/RawData.h"
#include "mlir/IR/Value.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace quern::onnx {

struct Scope;

/// The state of an import of ONNX that all its nodes share; what only those of one graph or
/// function share is in Scope.
struct GraphImport : frontend::ImportState {
  /// The file's bytes, where raw_data is.
  SourceBytes source;
  ExternalFiles files;
  /// The blob of `source`, once there is one.
  std::string sourceBlob = {};
  /// The blobs of external files, by location.
  std::map<std::string, std::string> externalBlobs = {};
  /// Nodes imported so far, those of functions and of bodies as often as they are.
  int64_t importedNodes = 0;
  /// Imports the nodes of a body into `block`, whose arguments are the inputs of
  /// `graph`. The values that it gives, which the caller makes it yield.
  std::function<Expected<llvm::SmallVector<mlir::Value>>(const proto::GraphProto &graph,
                                                         const Scope &around, mlir::Block &block)>
      importBody = {};
  /// Branches around what is imported now: what breaks a rule there may never run.
  int openBranches = 0;

  /// Whether `error` is what an op has complained about: operands that break its rule.
  bool breaksRule(const Status &error) const {
    return error.code() == StatusCode::InvalidModel && !diagnostics.empty() &&
           error.message().ends_with(diagnostics);
  }
};

} // namespace quern::onnx
