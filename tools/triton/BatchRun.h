//===- BatchRun.h - requests that Triton runs together --------------------===//
#pragma once

#include "ServedModel.h"

#include <cstddef>

namespace quern::triton {

/// An input of a request, or an output: whole, or in the pieces that it came in.
struct TensorBytes {
  std::vector<int64_t> dims;
  size_t bytes = 0;
  std::vector<std::pair<const void *, size_t>> pieces;
};

struct PendingRequest {
  TRITONBACKEND_Request *handle = nullptr;
  /// In the model's order.
  std::vector<TensorBytes> inputs;
  int64_t rows = 1;
  /// What it ends with; else `outputs`, for each the dims and the bytes.
  Failure failure = nullptr;
  std::vector<std::pair<std::vector<int64_t>, std::vector<std::byte>>> outputs;

  /// Whether the rows of both may be those of one run.
  bool isLike(const PendingRequest &other) const;
};

/// The inputs of a request, which must be the model's.
Failure readRequest(const ServedModel &model, PendingRequest &request);
/// Runs them together, in parts of the listed sizes, and what fails together one by one.
void runTogether(const Instance &instance, const std::vector<PendingRequest *> &requests);
/// Sends what a request asked for, or its failure, and lets it go.
void respond(const ServedModel &model, PendingRequest &request);

} // namespace quern::triton
