//===- Backend.cpp - the functions that Triton calls ----------------------===//
//
// libtriton_quern.so: the server finds it as backends/quern/libtriton_quern.so for models whose
// config.pbtxt says backend: "quern".
//
//===----------------------------------------------------------------------===//
#include "BatchRun.h"

#include <chrono>

#define EXPORTED extern "C" __attribute__((visibility("default")))

using namespace quern::triton;

static uint64_t nanoseconds() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() /
                               std::chrono::nanoseconds(1));
}

static void drop(Failure failure) {
  if (failure)
    TRITONSERVER_ErrorDelete(failure);
}

EXPORTED TRITONSERVER_Error *TRITONBACKEND_Initialize(TRITONBACKEND_Backend *) {
  uint32_t major = 0, minor = 0;
  if (Failure failure = TRITONBACKEND_ApiVersion(&major, &minor))
    return failure;
  if (major != TRITONBACKEND_API_VERSION_MAJOR || minor < TRITONBACKEND_API_VERSION_MINOR)
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_UNSUPPORTED,
                                 "libtriton_quern.so was built for a newer server");
  return nullptr;
}

EXPORTED TRITONSERVER_Error *TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model *model) {
  std::unique_ptr<ServedModel> served;
  try {
    if (Failure failure = ServedModel::load(model, served))
      return failure;
  } catch (const std::exception &error) {
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, error.what());
  }
  return TRITONBACKEND_ModelSetState(model, served.release());
}

EXPORTED TRITONSERVER_Error *TRITONBACKEND_ModelFinalize(TRITONBACKEND_Model *model) {
  void *state = nullptr;
  Failure failure = TRITONBACKEND_ModelState(model, &state);
  delete static_cast<ServedModel *>(state);
  return failure;
}

EXPORTED TRITONSERVER_Error *
TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance *instance) {
  TRITONBACKEND_Model *model = nullptr;
  void *state = nullptr;
  if (Failure failure = TRITONBACKEND_ModelInstanceModel(instance, &model))
    return failure;
  if (Failure failure = TRITONBACKEND_ModelState(model, &state))
    return failure;
  auto made = std::make_unique<Instance>();
  made->model = static_cast<const ServedModel *>(state);
  quern_session_options options = {};
  options.struct_size = sizeof options;
  options.threads = made->model->threads;
  quern_session *session = nullptr;
  if (Failure failure =
          failureOf(quern_session_create(made->model->executable.get(), &options, &session)))
    return failure;
  made->session.reset(session);
  return TRITONBACKEND_ModelInstanceSetState(instance, made.release());
}

EXPORTED TRITONSERVER_Error *
TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance *instance) {
  void *state = nullptr;
  Failure failure = TRITONBACKEND_ModelInstanceState(instance, &state);
  delete static_cast<Instance *>(state);
  return failure;
}

/// Those that are alike run together.
static void runAll(const Instance &instance, std::vector<PendingRequest> &pending) {
  std::vector<PendingRequest *> left;
  for (PendingRequest &request : pending)
    if (!request.failure)
      left.push_back(&request);
  while (!left.empty()) {
    std::vector<PendingRequest *> together = {left.front()}, others;
    for (size_t i = 1; i < left.size(); ++i) {
      bool joins = instance.model->hasRows && left[i]->isLike(*left.front());
      (joins ? together : others).push_back(left[i]);
    }
    runTogether(instance, together);
    left = std::move(others);
  }
}

/// All requests are answered and let go, whatever becomes of them.
EXPORTED TRITONSERVER_Error *TRITONBACKEND_ModelInstanceExecute(TRITONBACKEND_ModelInstance *handle,
                                                                TRITONBACKEND_Request **requests,
                                                                const uint32_t count) {
  void *state = nullptr;
  if (Failure failure = TRITONBACKEND_ModelInstanceState(handle, &state))
    return failure;
  const auto &instance = *static_cast<const Instance *>(state);
  uint64_t began = nanoseconds();
  std::vector<PendingRequest> pending(count);
  int64_t rows = 0;
  for (uint32_t i = 0; i < count; ++i) {
    pending[i].handle = requests[i];
    pending[i].failure = readRequest(*instance.model, pending[i]);
    rows += pending[i].rows;
  }
  uint64_t computes = nanoseconds();
  try {
    runAll(instance, pending);
  } catch (const std::exception &error) {
    for (PendingRequest &request : pending)
      if (!request.failure)
        request.failure = TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, error.what());
  }
  uint64_t computed = nanoseconds();
  for (PendingRequest &request : pending) {
    drop(TRITONBACKEND_ModelInstanceReportStatistics(handle, request.handle, !request.failure,
                                                     began, computes, computed, nanoseconds()));
    respond(*instance.model, request);
  }
  drop(TRITONBACKEND_ModelInstanceReportBatchStatistics(handle, static_cast<uint64_t>(rows), began,
                                                        computes, computed, nanoseconds()));
  return nullptr;
}
