//===- CacheFolder.cpp - where artefacts are kept between processes -------===//
#include "quern/CacheFolder.h"

#include <cstdlib>
#include <filesystem>

using namespace quern;
namespace fs = std::filesystem;

static std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

std::string quern::cacheFolder() {
  if (std::string given = variable("QUERN_CACHE_DIR"); !given.empty())
    return given;
  if (std::string caches = variable("XDG_CACHE_HOME"); !caches.empty())
    return caches + "/quern";
  std::string home = variable("HOME");
  return home.empty() ? "" : home + "/.cache/quern";
}

CacheUse quern::cacheUse(const std::string &folder) {
  CacheUse use;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->path().extension() != ".so" || !at->is_regular_file(ignored))
      continue;
    ++use.artefacts;
    if (auto bytes = at->file_size(ignored); !ignored)
      use.bytes += static_cast<int64_t>(bytes);
  }
  return use;
}
