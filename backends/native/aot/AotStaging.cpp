//===- AotStaging.cpp - output files that appear complete -----------------===//
#include "backends/native/aot/AotStaging.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace quern;
using namespace quern::native;

static Status cannotWrite(const std::string &path, const std::string &reason) {
  return ioError("cannot write '" + path + "': " + reason);
}

Expected<Staging> Staging::make(const std::string &target, mode_t mode) {
  TemporaryPath::removeAbandoned(target);
  TemporaryPath folder =
      TemporaryPath::create(target, [&](const char *name) { return mkdir(name, mode) == 0; });
  if (folder.path().empty())
    return cannotWrite(target, std::strerror(errno));
  return Staging(target, std::move(folder));
}

Expected<Staging> Staging::createForFolder(const std::string &target) { return make(target, 0777); }

Expected<Staging> Staging::create(const std::string &target) {
  std::error_code error;
  std::filesystem::file_status status = std::filesystem::status(target, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    return cannotWrite(target, std::filesystem::is_directory(status) ? "it is a directory"
                                                                     : "not a regular file");
  if (error && status.type() != std::filesystem::file_type::not_found)
    return cannotWrite(target, error.message());
  return make(target, 0700);
}

Status Staging::write(const std::string &name, std::string_view bytes) const {
  std::ofstream file(path(name), std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  int reason = errno;
  bool failed = !file;
  file.close();
  if (failed)
    errno = reason;
  return file ? Status::ok() : cannotWrite(target, std::strerror(errno));
}

Status Staging::nameTarget(Status status) const {
  const std::string &message = status.message();
  if (status.code() != StatusCode::Io || message.find(folder.path()) == std::string::npos)
    return status;
  return cannotWrite(target, message.substr(message.rfind(": ") + 2));
}

Status Staging::keepMode(const std::string &path) const {
  constexpr mode_t kPermissions = 0777;
  struct stat info;
  if (stat(target.c_str(), &info) == 0 && chmod(path.c_str(), info.st_mode & kPermissions) != 0)
    return cannotWrite(target, std::strerror(errno));
  return Status::ok();
}

Status Staging::publish(const std::string &name) const {
  QUERN_TRY(keepMode(path(name)));
  if (std::rename(path(name).c_str(), target.c_str()) != 0)
    return cannotWrite(target, std::strerror(errno));
  return Status::ok();
}

Status Staging::publishFolder() {
  QUERN_TRY(keepMode(folder.path()));
  if (std::rename(folder.path().c_str(), target.c_str()) == 0) {
    folder.release();
    return Status::ok();
  }
  // What was there goes away with this.
  if (renameat2(AT_FDCWD, folder.path().c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) != 0)
    return cannotWrite(target, std::strerror(errno));
  return Status::ok();
}
