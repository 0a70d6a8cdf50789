//===- SparseWeights.cpp - constants of which most elements are left out --===//
//
// A sparse tensor is a tree: each level chooses positions along one dimension (or within blocks of
// neighbours along one), and the leaves are the stored elements, in their order. Level by level the
// places of all nodes in the dense tensor are worked out; a node's place is the sum of what the
// levels add. There are never more nodes than elements.
//
//===----------------------------------------------------------------------===//
#include "frontend/tflite/SparseWeights.h"

#include <fmt/format.h>

#include <cstring>

using namespace quern;
using namespace quern::tflite;
using frontend::TensorLayout;

namespace {
/// A level of the tree: so many positions, each of which is `stride` elements on.
struct LevelShape {
  int64_t size = 1, stride = 1;
};
} // namespace

static Status misfit(const char *what) {
  return invalidModel(fmt::format("sparse weights: {}", what));
}

/// The numbers of a vector of any of the types, which may be missing.
static Expected<std::vector<int64_t>> numbersOf(file::Indices type, const void *table) {
  std::vector<int64_t> numbers;
  auto take = [&](const auto *vector) {
    if (vector && vector->values())
      numbers.assign(vector->values()->begin(), vector->values()->end());
  };
  switch (type) {
  case file::Indices::Indices32:
    take(static_cast<const file::Indices32 *>(table));
    return numbers;
  case file::Indices::Indices16:
    take(static_cast<const file::Indices16 *>(table));
    return numbers;
  case file::Indices::Indices8:
    take(static_cast<const file::Indices8 *>(table));
    return numbers;
  case file::Indices::NONE:
    break;
  }
  return misfit("a level lists nothing");
}

/// What each dimension, and then each part of a block, is as a level.
static Expected<std::vector<LevelShape>> shapesOf(const file::Sparsity &sparsity,
                                                  const TensorLayout &layout) {
  size_t rank = layout.dims.size();
  size_t blocks = sparsity.block_map() ? sparsity.block_map()->size() : 0;
  const auto *order = sparsity.traversal_order();
  const auto *levels = sparsity.levels();
  if (!order || !levels || order->size() != rank + blocks || levels->size() != rank + blocks)
    return misfit("there is not one level for each dimension and block");
  std::vector<LevelShape> shapes(rank + blocks);
  int64_t stride = 1;
  for (size_t d = rank; d-- > 0; stride *= layout.dims[d])
    shapes[d] = {layout.dims[d], stride};
  for (size_t i = 0; i < order->size(); ++i) {
    int64_t part = int64_t(order->Get(static_cast<unsigned>(i))) - static_cast<int64_t>(rank);
    if (part < 0)
      continue;
    if (part >= static_cast<int64_t>(blocks))
      return misfit("the order of levels names one that is not there");
    int64_t dimension = sparsity.block_map()->Get(static_cast<unsigned>(part));
    int64_t size = levels->Get(static_cast<unsigned>(i))->dense_size();
    if (dimension < 0 || dimension >= static_cast<int64_t>(rank) || size < 1 ||
        shapes[dimension].size % size != 0)
      return misfit("a block does not fit its dimension");
    shapes[rank + part] = {size, shapes[dimension].stride};
    shapes[dimension] = {shapes[dimension].size / size, shapes[dimension].stride * size};
  }
  return shapes;
}

/// The places of the nodes below `places`.
static Expected<std::vector<int64_t>> placesBelow(const std::vector<int64_t> &places,
                                                  const file::Level &level, LevelShape shape,
                                                  int64_t most) {
  std::vector<int64_t> below;
  auto add = [&](int64_t place, int64_t position) {
    if (position < 0 || position >= shape.size || static_cast<int64_t>(below.size()) >= most)
      return false;
    below.push_back(place + position * shape.stride);
    return true;
  };
  if (level.format() == file::LevelFormat::Dense) {
    if (level.dense_size() != shape.size)
      return misfit("a level has not the size of its dimension");
    for (int64_t place : places)
      for (int64_t i = 0; i < shape.size; ++i)
        if (!add(place, i))
          return misfit("more positions than elements");
    return below;
  }
  QUERN_ASSIGN(std::vector<int64_t> segments, numbersOf(level.segments_type(), level.segments()));
  QUERN_ASSIGN(std::vector<int64_t> indices, numbersOf(level.indices_type(), level.indices()));
  if (segments.size() != places.size() + 1)
    return misfit("there is not one segment for each position");
  for (size_t p = 0; p < places.size(); ++p) {
    if (segments[p] < 0 || segments[p] > segments[p + 1] ||
        segments[p + 1] > static_cast<int64_t>(indices.size()))
      return misfit("a segment lies outside of the indices");
    for (int64_t i = segments[p]; i < segments[p + 1]; ++i)
      if (!add(places[p], indices[i]))
        return misfit("an index is out of range");
  }
  return below;
}

Expected<std::vector<std::byte>> tflite::expandSparse(const file::Sparsity &sparsity,
                                                      const TensorLayout &layout,
                                                      std::span<const std::byte> stored) {
  if (!frontend::hasFormOfFile(layout.dtype))
    return unsupported(fmt::format("sparse weights of {}", dtypeName(layout.dtype)));
  QUERN_ASSIGN(std::vector<LevelShape> shapes, shapesOf(sparsity, layout));
  std::vector<int64_t> places = {0};
  std::vector<bool> isDone(shapes.size());
  for (unsigned i = 0; i < shapes.size(); ++i) {
    int64_t number = sparsity.traversal_order()->Get(i);
    if (number < 0 || number >= static_cast<int64_t>(shapes.size()) || isDone[number])
      return misfit("the order of levels names one that is not there");
    isDone[number] = true;
    QUERN_ASSIGN(places,
                 placesBelow(places, *sparsity.levels()->Get(i), shapes[number], layout.elements));
  }
  size_t bytes = dtypeBytes(layout.dtype);
  if (stored.size() != places.size() * bytes)
    return invalidModel(fmt::format("sparse weights: {} elements of {} bytes are stored in {}",
                                    places.size(), bytes, stored.size()));
  std::vector<std::byte> dense(static_cast<size_t>(layout.rawBytes));
  for (size_t i = 0; i < places.size(); ++i)
    std::memcpy(dense.data() + places[i] * bytes, stored.data() + i * bytes, bytes);
  return dense;
}
