//===- KernelCode.h - the machine code of kernels, to be read -------------===//
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quern {

/// A loop of a kernel with no other inside, and what one turn of it does. Counted for x86-64.
struct KernelLoop {
  /// As in the assembly: ".LBB0_7".
  std::string label;
  int64_t instructions = 0;
  /// Operations on elements, as in StepCost; those of tiles (AMX) as if all were full.
  int64_t flops = 0;
  /// Instructions with an operand in memory, and the bytes that they read or write.
  int64_t loads = 0, loadedBytes = 0, stores = 0, storedBytes = 0;
  /// Vectors that are read from the stack or written there.
  int64_t spills = 0;
};

/// A kernel that steps of a plan run.
struct KernelCode {
  /// The step, as profiles call it: "conv1+relu1".
  std::string step;
  /// "dot_12x32_relu", and all that shapes its code.
  std::string kernel, parameters;
  /// In AT&T's syntax.
  std::string assembly = {};
  /// In their order; none for other machines than x86-64.
  std::vector<KernelLoop> loops = {};
};

} // namespace quern
