//===- OnnxImporter.h - ONNX models to the nn dialect ---------------------===//
#pragma once

#include "frontend/ImportProblems.h"
#include "quern/Limits.h"
#include "quern/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace quern::onnx {

using frontend::ImportProblem;
using frontend::ImportProblems;

struct OpsetRow;

struct ImportOptions {
  Limits limits = {};
  /// Receives what is wrong with single nodes, initializers and outputs, unless null.
  std::vector<ImportProblem> *problems = nullptr;
  /// Receives the files that the model is in, unless null: its own, then those with external
  /// data.
  std::vector<std::string> *files = nullptr;
  /// Told of every node that was imported: its row, its operands and the ops made of it,
  /// without those in its bodies.
  std::function<void(const OpsetRow &row, mlir::ValueRange operands,
                     llvm::ArrayRef<mlir::Operation *> made)>
      observe = {};
};

/// Imports a model file. The result is a module with one function @main: its
/// arguments are the graph inputs that are no initializers, its results the graph
/// outputs, both with the ONNX name as `nn.name`. Locations carry node names.
/// Large weights stay in the file, which the weight store of `context` keeps mapped:
/// it must not shrink while `context` or a copy of its weights lives.
/// Every error names the file: InvalidModel for a broken model, Unsupported for
/// ops, opsets, types and attributes, ResourceLimit, Io. What is wrong with single nodes is
/// listed at once: nodes that need a result of those are left out.
Expected<mlir::OwningOpRef<mlir::ModuleOp>> importOnnxFile(const std::string &path,
                                                           mlir::MLIRContext &context,
                                                           const ImportOptions &options = {});

/// As above, from memory. `name` stands for the file in messages; external data
/// is refused, as there is no directory to look in. Weights stay in `bytes` when an
/// `owner` comes with them, and in a copy of them otherwise.
Expected<mlir::OwningOpRef<mlir::ModuleOp>>
importOnnxBytes(std::span<const std::byte> bytes, const std::string &name,
                mlir::MLIRContext &context, const ImportOptions &options = {},
                std::shared_ptr<const void> owner = nullptr);

/// The importer's table: all rows, by domain and op, the oldest of an op first.
std::vector<const OpsetRow *> allOpsetRows();

} // namespace quern::onnx
