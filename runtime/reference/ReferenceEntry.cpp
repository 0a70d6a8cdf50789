//===- ReferenceEntry.cpp - how compiled models call reference kernels ----===//
#include "runtime/reference/ReferenceEntry.h"

#include "quern/RandomSeed.h"
#include "quern/model_abi.h"
#include "runtime/reference/StepRecord.h"

#include <cstring>
#include <new>

using namespace quern;
using namespace quern::reference;

// Compiled models are linked without the compiler's start files, which would run what kernels
// have registered for the end when a library is unloaded: at the end of the process its code
// is no longer there. Where the start files are, nothing is left to run.
extern "C" {
extern void *__dso_handle [[gnu::visibility("hidden")]];
void __cxa_finalize(void *);
}
[[gnu::destructor]] static void finalizeLibrary() { __cxa_finalize(&__dso_handle); }

using TableFunction = std::span<const EvaluatorRow> (*)();

static std::vector<Tensor> borrowAll(const std::vector<StepRecord::Port> &ports,
                                     const void *const *addresses) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < ports.size(); ++i)
    tensors.push_back(ports[i].dtype == DType::Undefined
                          ? Tensor()
                          : Tensor::borrow(ports[i].dtype, ports[i].dims, addresses[i]));
  return tensors;
}

/// Copies what the kernel has not written to its place.
static Status takeResults(const StepRecord &record, const std::vector<Tensor> &results,
                          void *const *outputs) {
  if (results.size() != record.outputs.size())
    return internalError("another number of results than declared");
  for (size_t i = 0; i < results.size(); ++i) {
    const StepRecord::Port &port = record.outputs[i];
    if (port.dtype == DType::Undefined)
      continue;
    if (results[i].dtype() != port.dtype || results[i].dims() != port.dims)
      return invalidInput("a result has another size than the model was compiled for");
    if (results[i].rawData() != outputs[i] && results[i].numElements() > 0)
      std::memmove(outputs[i], results[i].rawData(), static_cast<size_t>(results[i].numBytes()));
  }
  return Status::ok();
}

static Status runStep(TableFunction table, std::string_view bytes, const void *const *inputs,
                      void *const *outputs) {
  QUERN_ASSIGN(StepRecord record, readStepRecord(bytes));
  EvalFunction kernel = nullptr;
  for (const EvaluatorRow &row : table())
    if (row.opName == record.opName)
      kernel = row.function;
  if (!kernel)
    return internalError("the table has no such kernel");
  Attributes attributes;
  for (auto &[name, value] : record.attributes)
    attributes.set(std::move(name), std::move(value));
  std::vector<DType> types;
  for (const StepRecord::Port &port : record.outputs)
    types.push_back(port.dtype);
  std::vector<Tensor> operands = borrowAll(record.inputs, inputs);
  std::vector<Tensor> places = borrowAll(record.outputs, outputs);
  Budget budget{Limits()};
  QUERN_ASSIGN(std::vector<Tensor> results,
               kernel({record.opName, attributes, operands, types, budget, places}));
  return takeResults(record, results, outputs);
}

/// Nothing is thrown into a program that may be one in C.
extern "C" int quern_run_reference_step_v1(const void *table, const void *record,
                                           int64_t recordBytes, const void *const *inputs,
                                           void *const *outputs) {
  try {
    Status status = runStep(reinterpret_cast<TableFunction>(const_cast<void *>(table)),
                            {static_cast<const char *>(record), static_cast<size_t>(recordBytes)},
                            inputs, outputs);
    if (status.isOk())
      return QUERN_MODEL_OK;
    return status.code() == StatusCode::ResourceLimit ? QUERN_MODEL_OUT_OF_MEMORY
                                                      : QUERN_MODEL_FAILED_STEP;
  } catch (const std::bad_alloc &) {
    return QUERN_MODEL_OUT_OF_MEMORY;
  } catch (...) {
    return QUERN_MODEL_FAILED_STEP;
  }
}

extern "C" int quern_use_random_v1(quern_random_fn random, void *context) {
  setRandomSource(random, context);
  return QUERN_MODEL_OK;
}
