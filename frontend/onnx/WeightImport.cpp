//===- WeightImport.cpp - TensorProtos to nn.constant and nn.weight -------===//
#include "frontend/onnx/WeightImport.h"

#include "frontend/onnx/TensorData.h"
#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

/// From this size on a tensor is a reference instead of an attribute.
static constexpr int64_t kReferenceBytes = 1024;

// As many as folding may create afterwards.
Status GraphImport::countConstant(CheckedSize bytes) {
  int64_t most = std::min(limits.maxFoldedBytes, limits.maxActivationBytes);
  CheckedSize all = CheckedSize(constantBytes) + bytes;
  if (!all.valid() || all.value() > most)
    return resourceLimit(
        fmt::format("the constants that nodes are made of take more than {} bytes", most));
  constantBytes = all.value();
  return Status::ok();
}

/// What the elements of a tensor take in memory.
static CheckedSize decodedBytes(const TensorLayout &layout) {
  return CheckedSize(layout.elements) * CheckedSize(dtypeBytes(layout.dtype));
}

/// Whether the elements in the file are those of a Tensor, byte for byte.
static bool sameForm(DType dtype) {
  return dtype != DType::Bool && dtype != DType::String && dtypeBits(dtype) >= 8;
}

/// Adds a blob under a name that nothing else in this context has, like `wanted`.
static std::string addBlob(GraphImport &graph, nn::WeightStore &store, const std::string &wanted,
                           const MessageBytes &blob) {
  std::string name = wanted;
  while (store.contains(name))
    name = fmt::format("{}#{}", wanted, graph.nextBlobNumber++);
  auto size = static_cast<int64_t>(blob.bytes.size());
  if (blob.isMappedFile)
    store.addMappedFile(name, blob.bytes.data(), size, blob.owner);
  else
    store.addBlob(name, blob.bytes.data(), size, blob.owner);
  return name;
}

static Value createReference(GraphImport &graph, mlir::Location loc, const TensorLayout &layout,
                             const std::string &blob, int64_t offset) {
  auto type = mlir::RankedTensorType::get(
      layout.dims, nn::elementTypeOf(graph.builder.getContext(), layout.dtype));
  return graph.builder.create<nn::WeightOp>(loc, type, blob, offset);
}

/// The blob of a mapped file, added at its first use.
static std::string blobOfFile(GraphImport &graph, nn::WeightStore &store, const std::string &file,
                              const std::shared_ptr<const MappedFile> &mapped) {
  std::string &blob = graph.externalBlobs[file];
  if (blob.empty())
    blob = addBlob(graph, store, graph.modelName + ":" + file,
                   {mapped->bytes(), mapped, /*isMappedFile=*/true});
  return blob;
}

static Expected<Value> importExternal(GraphImport &graph, nn::WeightStore &store,
                                      const proto::TensorProto &tensor, const TensorLayout &layout,
                                      mlir::Location loc) {
  QUERN_ASSIGN(ExternalLocation location, parseExternalLocation(tensor));
  QUERN_ASSIGN(std::shared_ptr<const MappedFile> file, graph.files.map(location.file));
  QUERN_ASSIGN(std::span<const std::byte> bytes, externalBytes(*file, location));
  if (static_cast<int64_t>(bytes.size()) != layout.rawBytes)
    return invalidModel(fmt::format("external data '{}' gives {} bytes, {} {} needs {}",
                                    location.file, bytes.size(), dtypeName(layout.dtype),
                                    formatDims(layout.dims), layout.rawBytes));
  if (sameForm(layout.dtype) && layout.rawBytes > kReferenceBytes)
    return createReference(graph, loc, layout, blobOfFile(graph, store, location.file, file),
                           location.offset);
  QUERN_TRY(graph.countConstant(decodedBytes(layout)));
  QUERN_ASSIGN(Tensor decoded, decodeRawTensor(layout, bytes, graph.limits));
  return nn::createConstant(graph.builder, loc, decoded);
}

Expected<Value> quern::onnx::importTensor(GraphImport &graph, const proto::TensorProto &tensor,
                                          mlir::Location loc) {
  QUERN_ASSIGN(TensorLayout layout, checkTensor(tensor, graph.source, graph.limits));
  mlir::MLIRContext *context = graph.builder.getContext();
  auto &store = context->getOrLoadDialect<nn::NNDialect>()->getWeights();
  if (tensor.data_location() == proto::TensorProto::EXTERNAL)
    return importExternal(graph, store, tensor, layout, loc);
  std::span<const std::byte> raw = rawDataOf(tensor, graph.source);
  if (sameForm(layout.dtype) && static_cast<int64_t>(raw.size()) > kReferenceBytes) {
    if (graph.sourceBlob.empty())
      graph.sourceBlob = addBlob(graph, store, graph.modelName, graph.source);
    return createReference(graph, loc, layout, graph.sourceBlob,
                           raw.data() - graph.source.bytes.data());
  }
  QUERN_TRY(graph.countConstant(decodedBytes(layout)));
  QUERN_ASSIGN(Tensor decoded, decodeTensor(tensor, graph.source, graph.limits));
  return nn::createConstant(graph.builder, loc, decoded);
}
