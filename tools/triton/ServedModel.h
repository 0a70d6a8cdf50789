//===- ServedModel.h - a model that Triton serves -------------------------===//
#pragma once

#include "quern.h"
#include "triton/core/tritonbackend.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace quern::triton {

/// An error of the server's, which whoever gets it deletes; null is none.
using Failure = TRITONSERVER_Error *;

/// What quern_last_error says, of this status.
Failure failureOf(quern_status status);
Failure invalid(const std::string &message);

/// The server's type of an element of ONNX's; INVALID when it has none.
TRITONSERVER_DataType dataTypeOf(int32_t dtype);

template <auto Release> struct Releaser {
  template <typename T> void operator()(T *object) const { Release(object); }
};
using ModelHandle = std::unique_ptr<quern_model, Releaser<quern_model_release>>;
using ExecutableHandle = std::unique_ptr<quern_executable, Releaser<quern_executable_release>>;
using SessionHandle = std::unique_ptr<quern_session, Releaser<quern_session_release>>;
using ValueHandle = std::unique_ptr<quern_value, Releaser<quern_value_release>>;

struct Port {
  std::string name;
  int32_t dtype = 0;
};

/// A version of a model, compiled; instances share it.
struct ServedModel {
  ExecutableHandle executable;
  std::vector<Port> inputs, outputs;
  /// Of max_batch_size: whether the first dimension of all is that of the batch.
  bool hasRows = false;
  /// The rows that runs may have, the smallest first; any when it is empty.
  std::vector<int64_t> batchSizes;
  int32_t threads = 0;

  /// Loads model.onnx, model.tflite or model.so of the version's folder, with what config.pbtxt
  /// has as parameters: threads, batch_sizes, precision.
  static Failure load(TRITONBACKEND_Model *model, std::unique_ptr<ServedModel> &served);
};

/// A model with the memory of its runs.
struct Instance {
  const ServedModel *model = nullptr;
  SessionHandle session;
};

} // namespace quern::triton
