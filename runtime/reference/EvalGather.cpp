//===- EvalGather.cpp - reference kernels of gathers ----------------------===//
#include "runtime/reference/Gather.h"

#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/DataMovement.h"
#include "runtime/reference/Indexing.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::reference;

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

static Status checkIndexType(const Tensor &indices) {
  if (indices.dtype() != DType::Int64 && indices.dtype() != DType::Int32)
    return invalidInput("indices must be int32 or int64, found " + indices.describe());
  return Status::ok();
}

/// An index in [0, size), of one in [-size, size).
static Expected<int64_t> checkedIndex(const Tensor &indices, int64_t i, int64_t size) {
  bool wide = indices.dtype() == DType::Int64;
  int64_t index = wide ? indices.data<int64_t>()[i] : indices.data<int32_t>()[i];
  if (index < -size || index >= size)
    return invalidInput(fmt::format("index {} is out of range for a size of {}", index, size));
  return index < 0 ? index + size : index;
}

Expected<Tensor> reference::checkedIndices(const Tensor &indices, int64_t size, Budget &budget) {
  QUERN_TRY(checkIndexType(indices));
  QUERN_ASSIGN(Tensor checked, budget.allocateUninitialized(DType::Int64, indices.dims()));
  int64_t *out = checked.mutableData<int64_t>();
  QUERN_TRY(budget.spend(indices.numElements() * 2));
  for (int64_t i = 0; i < indices.numElements(); ++i) {
    QUERN_ASSIGN(out[i], checkedIndex(indices, i, size));
  }
  return checked;
}

Status reference::checkElementIndices(const Tensor &input, const Tensor &indices, int64_t axis) {
  bool fits = indices.rank() == input.rank();
  for (int64_t d = 0; fits && d < input.rank(); ++d)
    fits = d == axis || indices.dim(d) <= input.dim(d);
  if (!fits)
    return invalidInput(fmt::format("indices of {} do not fit {} along axis {}", indices.describe(),
                                    input.describe(), axis));
  return Status::ok();
}

Expected<IndexedSlices> reference::slicesAt(const Tensor &input, const Tensor &indices,
                                            int64_t batchDims, Budget &budget) {
  QUERN_TRY(checkIndexType(indices));
  std::span<const int64_t> dims = input.dims(), tuples = indices.dims();
  int64_t length = tuples.empty() ? 0 : tuples.back();
  bool fits = !tuples.empty() && batchDims >= 0 && batchDims < indices.rank() &&
              batchDims <= input.rank() && length <= input.rank() - batchDims &&
              std::equal(dims.begin(), dims.begin() + batchDims, tuples.begin());
  if (!fits)
    return invalidInput(fmt::format("index tuples of {} do not fit {} with {} batch dimensions",
                                    indices.describe(), input.describe(), batchDims));
  tuples = tuples.first(tuples.size() - 1);
  IndexedSlices slices;
  slices.dims.assign(tuples.begin(), tuples.end());
  slices.dims.insert(slices.dims.end(), dims.begin() + batchDims + length, dims.end());
  QUERN_TRY(checkRank(slices.dims.size(), budget));
  QUERN_ASSIGN(slices.offsets, budget.allocateUninitialized(
                                   DType::Int64, Tensor::Dims(tuples.begin(), tuples.end())));
  if (slices.offsets.numElements() == 0)
    return slices;
  std::vector<int64_t> strides = rowMajorStrides(dims);
  auto sizeAfter = [&](int64_t d) { return d == 0 ? input.numElements() : strides[d - 1]; };
  slices.size = sizeAfter(batchDims + length);
  int64_t tuplesOfBatch = countOf(tuples.subspan(batchDims)), count = slices.offsets.numElements();
  for (int64_t t = 0; t < count; ++t) {
    QUERN_TRY(budget.spend(4 + 4 * length));
    int64_t offset = t / tuplesOfBatch * sizeAfter(batchDims);
    for (int64_t j = 0; j < length; ++j) {
      QUERN_ASSIGN(int64_t index, checkedIndex(indices, t * length + j, dims[batchDims + j]));
      offset += index * strides[batchDims + j];
    }
    slices.offsets.mutableData<int64_t>()[t] = offset;
  }
  return slices;
}

//===----------------------------------------------------------------------===//
// Gathers
//===----------------------------------------------------------------------===//

static Expected<std::vector<Tensor>> evalGatherElements(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(int64_t axis, resolveAxis(call.attributes.getInt("axis"), input.rank()));
  QUERN_TRY(checkElementIndices(input, call.inputs[1], axis));
  QUERN_ASSIGN(Tensor indices, checkedIndices(call.inputs[1], input.dim(axis), call.budget));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), indices.dims()));
  std::vector<int64_t> strides = rowMajorStrides(input.dims());
  int64_t step = std::exchange(strides[axis], 0);
  IndexWalk rest(indices.dims(), strides);
  QUERN_TRY(visitStorage(input.dtype(), [&]<typename T>() {
    return call.budget.forParts(result.numElements(), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i, rest.next())
        result.mutableData<T>()[i] =
            input.data<T>()[rest.offset() + indices.data<int64_t>()[i] * step];
    });
  }));
  return std::vector<Tensor>{result};
}

static Expected<std::vector<Tensor>> evalGatherND(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  QUERN_ASSIGN(IndexedSlices slices,
               slicesAt(input, call.inputs[1], call.attributes.getInt("batch_dims"), call.budget));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, input.dtype(), slices.dims));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_TRY(visitStorage(input.dtype(), [&]<typename T>() {
    T *out = result.mutableData<T>();
    for (int64_t offset : slices.offsets.elementsAs<int64_t>()) {
      QUERN_TRY(call.budget.spend(slices.size + 4));
      out = std::copy_n(input.data<T>() + offset, slices.size, out);
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::gatherEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.gather_elements", evalGatherElements},
      {"nn.gather_nd", evalGatherND},
      {"nn.scatter_elements", evalScatterElements},
      {"nn.scatter_nd", evalScatterND},
  };
  return rows;
}
