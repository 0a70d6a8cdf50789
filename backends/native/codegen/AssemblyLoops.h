//===- AssemblyLoops.h - the inner loops of x86-64 assembly ---------------===//
#pragma once

#include "quern/KernelCode.h"

#include <string>
#include <vector>

namespace quern::native {

/// From a label to a jump back to it, without another loop inside.
struct AssemblyLoop {
  std::string label;
  /// Those of the loop, jump and label left out.
  std::vector<std::string> lines;

  /// How many are of an instruction (a regular expression), as "vfmadd\\w+ps".
  int64_t count(const std::string &instruction) const;
  /// What one turn does.
  KernelLoop facts() const;
};

/// Those of all functions of a text in AT&T's syntax.
std::vector<AssemblyLoop> innermostLoops(const std::string &assembly);

} // namespace quern::native
