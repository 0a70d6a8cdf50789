//===- CompilerParts.h - what options and a target make of the compiler ---===//
#pragma once

#include "backends/native/Compiler.h"
#include "backends/plan/Instantiator.h"

namespace quern::native {

/// What the graph passes are told for a target.
passes::PipelineOptions pipelineOptions(const NativeOptions &options, const Target &target);

/// What says which products are computed at the precision that is asked for: of Precision::Auto
/// those that were chosen.
std::shared_ptr<const passes::PrecisionPolicy> precisionPolicy(const CompileOptions &options,
                                                               const Target &target);

/// What makes plans for the target.
std::shared_ptr<plan::Instantiator> createInstantiator(const Target &target,
                                                       const NativeOptions &options);

std::shared_ptr<KernelStore> createKernelStore(const Target &target, const NativeOptions &options);

/// Compiles the kernels of a plan that are not there yet.
Status compileKernels(const plan::UnlinkedPlan &plan, KernelStore &store, const Deadline &deadline);

} // namespace quern::native
