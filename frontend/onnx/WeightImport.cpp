//===- WeightImport.cpp - TensorProtos to nn.constant and nn.weight -------===//
#include "frontend/onnx/WeightImport.h"

#include "frontend/onnx/TensorData.h"
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// What the elements of a tensor take in memory.
static CheckedSize decodedBytes(const TensorLayout &layout) {
  return CheckedSize(layout.elements) * CheckedSize(dtypeBytes(layout.dtype));
}

static Value createReference(GraphImport &graph, mlir::Location loc, const TensorLayout &layout,
                             const std::string &blob, int64_t offset) {
  auto type = mlir::RankedTensorType::get(
      layout.dims, nn::elementTypeOf(graph.builder.getContext(), layout.dtype));
  return graph.builder.create<nn::WeightOp>(loc, type, blob, offset);
}

/// The blob of a mapped file, added at its first use.
static std::string blobOfFile(GraphImport &graph, const std::string &file,
                              const std::shared_ptr<const MappedFile> &mapped) {
  std::string &blob = graph.externalBlobs[file];
  if (blob.empty())
    blob = graph.addBlob(graph.modelName + ":" + file,
                         {mapped->bytes(), mapped, /*isMappedFile=*/true});
  return blob;
}

static Expected<Value> importExternal(GraphImport &graph, const proto::TensorProto &tensor,
                                      const TensorLayout &layout, mlir::Location loc) {
  QUERN_ASSIGN(ExternalLocation location, parseExternalLocation(tensor));
  QUERN_ASSIGN(std::shared_ptr<const MappedFile> file, graph.files.map(location.file));
  QUERN_ASSIGN(std::span<const std::byte> bytes, externalBytes(*file, location));
  if (static_cast<int64_t>(bytes.size()) != layout.rawBytes)
    return invalidModel(fmt::format("external data '{}' gives {} bytes, {} {} needs {}",
                                    location.file, bytes.size(), dtypeName(layout.dtype),
                                    formatDims(layout.dims), layout.rawBytes));
  if (frontend::hasFormOfFile(layout.dtype) && layout.rawBytes > frontend::kReferenceBytes)
    return createReference(graph, loc, layout, blobOfFile(graph, location.file, file),
                           location.offset);
  QUERN_TRY(graph.countConstant(decodedBytes(layout)));
  QUERN_ASSIGN(Tensor decoded, decodeRawTensor(layout, bytes, graph.limits));
  return nn::createConstant(graph.builder, loc, decoded);
}

Expected<Value> quern::onnx::importTensor(GraphImport &graph, const proto::TensorProto &tensor,
                                          mlir::Location loc) {
  QUERN_ASSIGN(TensorLayout layout, checkTensor(tensor, graph.source, graph.limits));
  if (tensor.data_location() == proto::TensorProto::EXTERNAL)
    return importExternal(graph, tensor, layout, loc);
  std::span<const std::byte> raw = rawDataOf(tensor, graph.source);
  if (frontend::hasFormOfFile(layout.dtype) &&
      static_cast<int64_t>(raw.size()) > frontend::kReferenceBytes) {
    if (graph.sourceBlob.empty())
      graph.sourceBlob = graph.addBlob(graph.modelName, graph.source);
    return createReference(graph, loc, layout, graph.sourceBlob,
                           raw.data() - graph.source.bytes.data());
  }
  QUERN_TRY(graph.countConstant(decodedBytes(layout)));
  QUERN_ASSIGN(Tensor decoded, decodeTensor(tensor, graph.source, graph.limits));
  return nn::createConstant(graph.builder, loc, decoded);
}
