//===- CacheFolder.h - where artefacts are kept between processes ---------===//
#pragma once

#include <cstdint>
#include <string>

namespace quern {

/// $QUERN_CACHE_DIR, else quern in $XDG_CACHE_HOME or in .cache of $HOME; empty when none of
/// these is set. It need not be there.
std::string cacheFolder();

/// The artefacts in a cache folder.
struct CacheUse {
  int64_t artefacts = 0;
  int64_t bytes = 0;
};
CacheUse cacheUse(const std::string &folder);

} // namespace quern
