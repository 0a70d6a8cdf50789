//===- BatchRun.cpp - requests that Triton runs together ------------------===//
#include "BatchRun.h"

#include <algorithm>
#include <cstring>
#include <numeric>

using namespace quern::triton;

namespace {
/// Rows of all requests of a run behind each other, and the last one again up to `size`.
struct JoinedInput {
  ValueHandle value;
  quern_tensor_view view = {};
  size_t rowBytes = 0;
};
} // namespace

static void drop(Failure failure) {
  if (failure)
    TRITONSERVER_ErrorDelete(failure);
}

bool PendingRequest::isLike(const PendingRequest &other) const {
  return std::equal(inputs.begin(), inputs.end(), other.inputs.begin(), other.inputs.end(),
                    [](const TensorBytes &a, const TensorBytes &b) {
                      return !a.dims.empty() && std::equal(a.dims.begin() + 1, a.dims.end(),
                                                           b.dims.begin() + 1, b.dims.end());
                    });
}

static Failure readInput(const Port &port, TRITONBACKEND_Input *input, TensorBytes &tensor) {
  TRITONSERVER_DataType type;
  const int64_t *dims = nullptr;
  uint32_t rank = 0, pieces = 0;
  uint64_t bytes = 0;
  if (Failure failure =
          TRITONBACKEND_InputProperties(input, nullptr, &type, &dims, &rank, &bytes, &pieces))
    return failure;
  if (type != dataTypeOf(port.dtype))
    return invalid("input '" + port.name + "': wanted " +
                   TRITONSERVER_DataTypeString(dataTypeOf(port.dtype)) + ", found " +
                   TRITONSERVER_DataTypeString(type));
  tensor.dims.assign(dims, dims + rank);
  uint64_t wanted = TRITONSERVER_DataTypeByteSize(type);
  for (int64_t size : tensor.dims)
    if (size < 0 || __builtin_mul_overflow(wanted, static_cast<uint64_t>(size), &wanted))
      return invalid("input '" + port.name + "' is too large");
  if (wanted != bytes)
    return invalid("input '" + port.name + "' has " + std::to_string(bytes) + " bytes, its shape " +
                   std::to_string(wanted));
  tensor.bytes = bytes;
  for (uint32_t i = 0; i < pieces; ++i) {
    const void *data = nullptr;
    uint64_t size = 0;
    TRITONSERVER_MemoryType memory = TRITONSERVER_MEMORY_CPU;
    int64_t memoryId = 0;
    if (Failure failure = TRITONBACKEND_InputBuffer(input, i, &data, &size, &memory, &memoryId))
      return failure;
    if (memory == TRITONSERVER_MEMORY_GPU)
      return invalid("input '" + port.name + "' is in the memory of a GPU");
    tensor.pieces.emplace_back(data, size);
  }
  return nullptr;
}

Failure quern::triton::readRequest(const ServedModel &model, PendingRequest &request) {
  for (const Port &port : model.inputs) {
    TRITONBACKEND_Input *input = nullptr;
    if (Failure failure = TRITONBACKEND_RequestInput(request.handle, port.name.c_str(), &input))
      return failure;
    TensorBytes &tensor = request.inputs.emplace_back();
    if (Failure failure = readInput(port, input, tensor))
      return failure;
    if (!model.hasRows)
      continue;
    if (tensor.dims.empty() || (request.inputs.size() > 1 && tensor.dims[0] != request.rows))
      return invalid("inputs '" + model.inputs[0].name + "' and '" + port.name +
                     "' have different numbers of rows");
    request.rows = tensor.dims[0];
  }
  return nullptr;
}

/// The sizes of the runs that have these rows: those that are listed.
static std::vector<int64_t> partsOf(const std::vector<int64_t> &sizes, int64_t rows) {
  if (sizes.empty())
    return {rows};
  std::vector<int64_t> parts;
  for (; rows > 0; rows -= parts.back()) {
    auto enough = std::lower_bound(sizes.begin(), sizes.end(), rows);
    parts.push_back(enough == sizes.end() ? sizes.back() : *enough);
  }
  return parts;
}

static Failure joinInput(const ServedModel &model, const std::vector<PendingRequest *> &requests,
                         size_t input, int64_t rows, int64_t room, JoinedInput &joined) {
  std::vector<int64_t> dims = requests[0]->inputs[input].dims;
  if (model.hasRows)
    dims[0] = room;
  quern_value *value = nullptr;
  if (Failure failure = failureOf(
          quern_value_tensor(model.inputs[input].dtype, dims.data(), dims.size(), &value)))
    return failure;
  joined.value.reset(value);
  if (Failure failure = failureOf(quern_value_view(value, &joined.view)))
    return failure;
  auto *place = static_cast<std::byte *>(joined.view.data);
  for (const PendingRequest *request : requests)
    for (auto [data, size] : request->inputs[input].pieces) {
      if (size)
        std::memcpy(place, data, size);
      place += size;
    }
  joined.rowBytes = room > 0 ? joined.view.bytes / static_cast<size_t>(room) : 0;
  for (int64_t row = rows; row < room && joined.rowBytes; ++row, place += joined.rowBytes)
    std::memcpy(place, place - joined.rowBytes, joined.rowBytes);
  return nullptr;
}

/// Gives each request its rows of what a run has computed for rows from `begin` on.
static Failure deal(const ServedModel &model, const std::vector<PendingRequest *> &requests,
                    size_t output, const quern_tensor_view &view, int64_t begin, int64_t size) {
  const auto *data = static_cast<const std::byte *>(view.data);
  if (model.hasRows && (view.rank == 0 || view.dims[0] != size))
    return invalid("output '" + model.outputs[output].name +
                   "' has no row for each of the inputs': max_batch_size must be 0");
  size_t rowBytes = model.hasRows ? view.bytes / static_cast<size_t>(size) : view.bytes;
  int64_t at = 0;
  for (PendingRequest *request : requests) {
    int64_t from = std::max(begin, at), to = std::min(begin + size, at + request->rows);
    auto &[dims, bytes] = request->outputs[output];
    if (dims.empty()) {
      dims.assign(view.dims, view.dims + view.rank);
      if (model.hasRows)
        dims[0] = request->rows;
    }
    if (from < to)
      bytes.insert(bytes.end(), data + static_cast<size_t>(from - begin) * rowBytes,
                   data + static_cast<size_t>(to - begin) * rowBytes);
    at += request->rows;
  }
  return nullptr;
}

static Failure runPart(const Instance &instance, const std::vector<PendingRequest *> &requests,
                       const std::vector<JoinedInput> &joined, int64_t begin, int64_t size) {
  const ServedModel &model = *instance.model;
  std::vector<ValueHandle> owned;
  std::vector<const quern_value *> inputs;
  for (const JoinedInput &input : joined) {
    std::vector<int64_t> dims(input.view.dims, input.view.dims + input.view.rank);
    auto *data = static_cast<std::byte *>(input.view.data);
    size_t bytes = input.view.bytes;
    if (model.hasRows) {
      dims[0] = size;
      data += static_cast<size_t>(begin) * input.rowBytes;
      bytes = static_cast<size_t>(size) * input.rowBytes;
    }
    quern_value *value = nullptr;
    if (Failure failure = failureOf(
            quern_value_borrow(input.view.dtype, dims.data(), dims.size(), data, bytes, &value)))
      return failure;
    owned.emplace_back(value);
    inputs.push_back(value);
  }
  std::vector<quern_value *> outputs(model.outputs.size());
  Failure failure = failureOf(quern_session_run(instance.session.get(), inputs.data(),
                                                inputs.size(), outputs.data(), outputs.size()));
  for (size_t i = 0; i < outputs.size(); ++i) {
    ValueHandle output(outputs[i]);
    quern_tensor_view view;
    if (!failure)
      failure = failureOf(quern_value_view(output.get(), &view));
    if (!failure)
      failure = deal(model, requests, i, view, begin, size);
  }
  return failure;
}

static Failure run(const Instance &instance, const std::vector<PendingRequest *> &requests) {
  const ServedModel &model = *instance.model;
  int64_t rows = 0;
  for (PendingRequest *request : requests) {
    rows += request->rows;
    request->outputs.assign(model.outputs.size(), {});
  }
  std::vector<int64_t> parts =
      model.hasRows ? partsOf(model.batchSizes, rows) : std::vector<int64_t>{1};
  int64_t room = std::accumulate(parts.begin(), parts.end(), int64_t(0));
  std::vector<JoinedInput> joined(model.inputs.size());
  for (size_t i = 0; i < joined.size(); ++i)
    if (Failure failure = joinInput(model, requests, i, rows, room, joined[i]))
      return failure;
  int64_t begin = 0;
  for (int64_t size : parts) {
    if (Failure failure = runPart(instance, requests, joined, begin, size))
      return failure;
    begin += size;
  }
  return nullptr;
}

void quern::triton::runTogether(const Instance &instance,
                                const std::vector<PendingRequest *> &requests) {
  Failure failure = run(instance, requests);
  if (!failure)
    return;
  if (requests.size() == 1) {
    requests[0]->failure = failure;
    return;
  }
  drop(failure);
  for (PendingRequest *request : requests)
    runTogether(instance, {request});
}

static Failure fill(const ServedModel &model, PendingRequest &request,
                    TRITONBACKEND_Response *response) {
  uint32_t count = 0;
  if (Failure failure = TRITONBACKEND_RequestOutputCount(request.handle, &count))
    return failure;
  for (uint32_t i = 0; i < count; ++i) {
    const char *name = nullptr;
    if (Failure failure = TRITONBACKEND_RequestOutputName(request.handle, i, &name))
      return failure;
    auto port = std::find_if(model.outputs.begin(), model.outputs.end(),
                             [&](const Port &port) { return port.name == name; });
    if (port == model.outputs.end())
      return invalid("the model has no output '" + std::string(name) + "'");
    const auto &[dims, bytes] = request.outputs[static_cast<size_t>(port - model.outputs.begin())];
    TRITONBACKEND_Output *output = nullptr;
    if (Failure failure =
            TRITONBACKEND_ResponseOutput(response, &output, name, dataTypeOf(port->dtype),
                                         dims.data(), static_cast<uint32_t>(dims.size())))
      return failure;
    void *place = nullptr;
    TRITONSERVER_MemoryType memory = TRITONSERVER_MEMORY_CPU;
    int64_t memoryId = 0;
    if (Failure failure =
            TRITONBACKEND_OutputBuffer(output, &place, bytes.size(), &memory, &memoryId))
      return failure;
    if (memory == TRITONSERVER_MEMORY_GPU)
      return invalid("output '" + port->name + "' is wanted in the memory of a GPU");
    if (!bytes.empty())
      std::memcpy(place, bytes.data(), bytes.size());
  }
  return nullptr;
}

void quern::triton::respond(const ServedModel &model, PendingRequest &request) {
  TRITONBACKEND_Response *response = nullptr;
  if (Failure failure = TRITONBACKEND_ResponseNew(&response, request.handle)) {
    drop(failure);
  } else {
    if (!request.failure)
      request.failure = fill(model, request, response);
    drop(TRITONBACKEND_ResponseSend(response, TRITONSERVER_RESPONSE_COMPLETE_FINAL,
                                    request.failure));
  }
  drop(request.failure);
  drop(TRITONBACKEND_RequestRelease(request.handle, TRITONSERVER_REQUEST_RELEASE_ALL));
}
