//===- CacheFolder.cpp - what is kept between processes -------------------===//
#include "quern/CacheFolder.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

using namespace quern;
namespace fs = std::filesystem;

static std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

static std::string kernelsIn(const std::string &folder) { return folder + "/kernels"; }

static std::string tuningsIn(const std::string &folder) { return folder + "/tuning"; }

std::string quern::cacheFolder() {
  if (std::string given = variable("QUERN_CACHE_DIR"); !given.empty())
    return given;
  if (std::string caches = variable("XDG_CACHE_HOME"); !caches.empty())
    return caches + "/quern";
  std::string home = variable("HOME");
  return home.empty() ? "" : home + "/.cache/quern";
}

//===----------------------------------------------------------------------===//
// Kernels and measured ways
//===----------------------------------------------------------------------===//

/// Makes the cache folder and the one in it for nobody but this user; why not.
static int makeOwnFolder(const std::string &caches, const std::string &folder) {
  std::error_code ignored;
  fs::create_directories(fs::path(caches).parent_path(), ignored);
  for (const std::string *path : {&caches, &folder})
    if (mkdir(path->c_str(), S_IRWXU) != 0 && errno != EEXIST)
      return errno;
  return 0;
}

/// The path of a folder in the cache folder that is this user's alone, made when it is missing.
static Expected<std::string> ownFolder(std::string (*inCaches)(const std::string &)) {
  std::string caches = cacheFolder(), folder = inCaches(caches);
  if (caches.empty())
    return ioError("no folder: QUERN_CACHE_DIR and HOME are not set");
  if (int reason = makeOwnFolder(caches, folder); reason != 0)
    return ioError(fmt::format("cannot make folder '{}': {}", folder, std::strerror(reason)));
  struct stat info;
  bool isOurs = lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
                info.st_uid == geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (!isOurs)
    return ioError(fmt::format("the folder '{}' is not this user's alone", folder));
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    return ioError(fmt::format("the folder '{}' cannot be written", folder));
  return folder;
}

Expected<std::string> quern::kernelFolder() {
  if (variable("QUERN_KERNEL_CACHE") == "off")
    return usageError("QUERN_KERNEL_CACHE is off");
  return ownFolder(kernelsIn);
}

Expected<std::string> quern::tuningFolder() { return ownFolder(tuningsIn); }

//===----------------------------------------------------------------------===//
// All that is kept
//===----------------------------------------------------------------------===//

/// Calls `visit` for the regular files in a folder, which need not be there.
static void forEachFile(const std::string &folder,
                        const std::function<void(const fs::path &path, int64_t bytes)> &visit) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (!at->is_symlink(ignored) && at->is_regular_file(ignored)) {
      auto bytes = at->file_size(ignored);
      visit(at->path(), ignored ? 0 : static_cast<int64_t>(bytes));
    }
  }
}

static CacheUse visitCache(const std::string &folder,
                           const std::function<void(const fs::path &path)> &visit) {
  CacheUse use;
  forEachFile(folder, [&](const fs::path &path, int64_t bytes) {
    fs::path suffix = path.extension();
    if (suffix == ".so") {
      ++use.artefacts;
      use.artefactBytes += bytes;
    } else if (suffix != ".lock" && suffix != ".note") {
      return;
    }
    visit(path);
  });
  auto visitFolder = [&](const std::string &path, const char *kept, int64_t &number,
                         int64_t &total) {
    std::error_code ignored;
    if (fs::is_symlink(path, ignored))
      return;
    forEachFile(path, [&](const fs::path &file, int64_t bytes) {
      if (file.extension() == kept) {
        ++number;
        total += bytes;
      } else if (file.extension() != ".begun") {
        return;
      }
      visit(file);
    });
  };
  visitFolder(kernelsIn(folder), ".kernel", use.kernels, use.kernelBytes);
  visitFolder(tuningsIn(folder), ".tuning", use.tunings, use.tuningBytes);
  return use;
}

CacheUse quern::cacheUse(const std::string &folder) {
  return visitCache(folder, [](const fs::path &) {});
}

Expected<CacheUse> quern::clearCache(const std::string &folder) {
  Status status;
  CacheUse use = visitCache(folder, [&](const fs::path &path) {
    std::error_code error;
    if (fs::remove(path, error); error && status.isOk())
      status = ioError(fmt::format("cannot remove '{}': {}", path.string(), error.message()));
  });
  QUERN_TRY(status);
  return use;
}
