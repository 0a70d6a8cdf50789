//===- WeightImport.h - TensorProtos to nn.constant and nn.weight ---------===//
#pragma once

#include "frontend/onnx/GraphImport.h"

namespace quern::onnx {

/// The value of a tensor of the model. Large raw and external data is referred
/// to where it lies, not copied.
Expected<mlir::Value> importTensor(GraphImport &graph, const proto::TensorProto &tensor,
                                   mlir::Location loc);

} // namespace quern::onnx
