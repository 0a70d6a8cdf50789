//===- Frontend.h - the formats that models come in -----------------------===//
#pragma once

#include "quern/Model.h"
#include "quern/OnnxFile.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace quern {

using ImportedModule = Expected<mlir::OwningOpRef<mlir::ModuleOp>>;

/// A format of models. Paths and names are part of errors.
struct Frontend {
  /// Whether the first bytes of a file are those of this format.
  bool (*recognises)(std::span<const std::byte> head);
  /// Also the files that the model is in.
  ImportedModule (*loadFile)(const std::string &path, mlir::MLIRContext &context,
                             const Limits &limits, std::vector<std::string> &files);
  ImportedModule (*loadBytes)(const ModelBytes &model, mlir::MLIRContext &context,
                              const Limits &limits);
  // See quern/OnnxFile.h.
  Expected<ModelFacts> (*inspectFile)(const std::string &path, const Limits &limits);
  Expected<ModelFacts> (*inspectBytes)(std::span<const std::byte> bytes, const Limits &limits);
  Expected<std::vector<std::string>> (*findFiles)(const std::string &path, const Limits &limits);
  Expected<std::vector<UnsupportedOp>> (*findUnsupportedOps)(const std::string &path,
                                                             const Limits &limits);
  Expected<std::vector<ModelProblem>> (*findProblems)(const std::string &path,
                                                      const Limits &limits);
};

// Each in the file of its format.
const Frontend &onnxFrontend();
const Frontend &tfliteFrontend();

/// The format of a file by what it holds, whatever its name; ONNX's, whose errors say what else it
/// is, where it is of no known format, or cannot be read.
const Frontend &frontendOf(const std::string &path);
const Frontend &frontendOf(std::span<const std::byte> bytes);

} // namespace quern
