//===- ReferenceEntry.h - how compiled models call reference kernels ------===//
//
// The contract between the code of an artefact and libquern_runtime.a, which it is linked
// with. The name has the version of both.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/model_abi.h"

#include <cstdint>

/// Runs the step that `record` describes (StepRecord.h) and gives a quern_model_status.
/// `table` is the address of the function that evaluatorTableSymbol names. The tensors are
/// those of the record, null where one is left out; outputs overlap nothing. Thread-safe.
extern "C" int quern_run_reference_step_v1(const void *table, const void *record,
                                           int64_t recordBytes, const void *const *inputs,
                                           void *const *outputs);

/// What <prefix>_use_random of quern/model_abi.h does.
extern "C" int quern_use_random_v1(quern_random_fn random, void *context);
