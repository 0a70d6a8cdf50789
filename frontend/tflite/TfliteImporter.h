//===- TfliteImporter.h - TensorFlow Lite models to the nn dialect --------===//
#pragma once

#include "frontend/ImportProblems.h"
#include "frontend/SourceBytes.h"
#include "quern/Limits.h"
#include "quern/Status.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>

namespace quern::tflite {

/// Imports a model: its first subgraph, as @main, whose inputs and outputs have the names of its
/// signature, else those of the tensors. Sizes that may change are unknown ones. Quantized tensors
/// keep their integers at inputs and outputs; in between each op is nn.dequantize, the op on real
/// numbers, nn.quantize. Images stay [N, height, width, C] outside of the ops that need it
/// otherwise. Large weights stay in `bytes`. `name` stands for the file in messages and is part of
/// every error: InvalidModel, Unsupported (for ops, all of them at once), ResourceLimit.
/// `problems`, unless null, receives what is wrong with single ops.
Expected<mlir::OwningOpRef<mlir::ModuleOp>>
importTflite(frontend::SourceBytes bytes, const std::string &name, mlir::MLIRContext &context,
             const Limits &limits = {}, std::vector<frontend::ImportProblem> *problems = nullptr);

} // namespace quern::tflite
