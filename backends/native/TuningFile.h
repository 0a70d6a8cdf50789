//===- TuningFile.h - measured ways on disk -------------------------------===//
//
// A file for each machine, CPU compiled for and build: of what another one measured nothing is
// believed. Processes share it: one that has measured writes all that is known anew beside the
// place, and moves it there whole.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/lowering/TuningTable.h"
#include "backends/native/target/Target.h"
#include "quern/Status.h"

namespace quern::native {

class TuningFile {
public:
  /// In `folder`, which nobody but this user can write to, see tuningFolder. `machine` is what this
  /// machine is known by.
  TuningFile(std::string folder, const Target &target, const std::string &machine);

  /// What is known; nothing when there is no file. Io when it is not as it was written.
  Expected<TuningTable> load() const;
  /// Adds `ways`, which come before what was there. Io when it cannot be written.
  Status add(const TuningTable &ways) const;

private:
  std::string folder, name, surroundings;
};

/// What a machine is known by: its CPU, and the caches that its times depend on.
std::string machineText();

} // namespace quern::native
