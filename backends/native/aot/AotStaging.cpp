//===- AotStaging.cpp - output files that appear complete -----------------===//
#include "backends/native/aot/AotStaging.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace quern;
using namespace quern::native;

static Status cannotWrite(const std::string &path, const std::string &reason) {
  return ioError("cannot write '" + path + "': " + reason);
}

Expected<Staging> Staging::create(const std::string &target) {
  std::error_code error;
  std::filesystem::file_status status = std::filesystem::status(target, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    return cannotWrite(target, std::filesystem::is_directory(status) ? "it is a directory"
                                                                     : "not a regular file");
  TemporaryPath folder =
      TemporaryPath::create(target, [](const char *name) { return mkdir(name, 0700) == 0; });
  if (folder.path().empty())
    return cannotWrite(target, std::strerror(errno));
  return Staging(target, std::move(folder));
}

Status Staging::write(const std::string &name, std::string_view bytes) const {
  std::ofstream file(path(name), std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  return file ? Status::ok() : cannotWrite(path(name), std::strerror(errno));
}

Status Staging::publish(const std::string &name) const {
  if (std::rename(path(name).c_str(), target.c_str()) != 0)
    return cannotWrite(target, std::strerror(errno));
  return Status::ok();
}
