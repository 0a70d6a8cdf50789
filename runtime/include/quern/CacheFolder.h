//===- CacheFolder.h - what is kept between processes ---------------------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <string>

namespace quern {

/// $QUERN_CACHE_DIR, else quern in $XDG_CACHE_HOME or in .cache of $HOME; empty when none of
/// these is set. It need not be there.
std::string cacheFolder();

/// The folder in there for compiled kernels, which is made when it is missing. The error says
/// why none are kept: $QUERN_KERNEL_CACHE is off, there is no cache folder or it cannot be
/// made, or others than this user could write to it: what is in there is code that will run.
Expected<std::string> kernelFolder();

/// The folder in there for what was measured of ways of computing ops, as above: what is in there
/// chooses the code that runs.
Expected<std::string> tuningFolder();

/// What is in a cache folder.
struct CacheUse {
  int64_t artefacts = 0, artefactBytes = 0;
  int64_t kernels = 0, kernelBytes = 0;
  /// Files of measured ways: one for each CPU and build.
  int64_t tunings = 0, tuningBytes = 0;
};
CacheUse cacheUse(const std::string &folder);
/// Removes that, and what lies beside it of Quern's; says what there was. Who is using a file
/// goes on with it. Io when something cannot be removed.
Expected<CacheUse> clearCache(const std::string &folder);

} // namespace quern
