//===- FileIo.cpp - whole files, bounded and atomic -----------------------===//
#include "tools/quern/FileIo.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

static Status systemError(const std::string &what, const std::string &path) {
  return ioError(fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno)));
}

Expected<InputFile> cli::openFile(const std::string &path) {
  // A FIFO would block without O_NONBLOCK; it is refused below.
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return systemError("open", path);
  std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(fdopen(fd, "rb"), std::fclose);
  struct stat info;
  if (fstat(fd, &info) != 0)
    return systemError("read", path);
  if (!S_ISREG(info.st_mode))
    return ioError("cannot read '" + path + "': not a regular file");
  return InputFile{std::move(file), info.st_size};
}

Expected<FileBytes> cli::readFile(const std::string &path, int64_t limit) {
  QUERN_ASSIGN(InputFile input, openFile(path));
  if (input.bytes > limit)
    return resourceLimit(
        fmt::format("'{}' has {} bytes, the limit is {}", path, input.bytes, limit));
  auto size = static_cast<size_t>(input.bytes);
  auto *memory = static_cast<std::byte *>(std::aligned_alloc(64, (size + 64) / 64 * 64));
  if (!memory)
    return resourceLimit("out of memory for '" + path + "'");
  std::shared_ptr<const std::byte> data(
      memory, [](const std::byte *p) { std::free(const_cast<std::byte *>(p)); });
  if (std::fread(memory, 1, size, input.file.get()) != size)
    return systemError("read", path);
  return FileBytes{std::move(data), size};
}

static constexpr mode_t kPermissions = 0777;

Expected<AtomicFile> AtomicFile::create(const std::string &path) {
  struct stat info;
  bool replaces = stat(path.c_str(), &info) == 0;
  if (replaces) {
    if (!S_ISREG(info.st_mode))
      return ioError(
          fmt::format("cannot write '{}': {}", path,
                      S_ISDIR(info.st_mode) ? "it is a directory" : "not a regular file"));
  } else if (errno != ENOENT) {
    return systemError("write", path); // renaming would find out too late
  }
  int fd = -1;
  TemporaryPath temporary = TemporaryPath::create(path, [&](const char *name) {
    if (fd >= 0)
      close(fd);
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return fd >= 0;
  });
  if (fd < 0)
    return systemError("write", path);
  // Who could not read what is replaced does not read this.
  if (replaces && fchmod(fd, info.st_mode & kPermissions) != 0) {
    close(fd);
    return systemError("write", path);
  }
  return AtomicFile(path, std::move(temporary), fdopen(fd, "wb"));
}

Expected<AtomicFile> AtomicFile::standardOutput() {
  if (isatty(STDOUT_FILENO))
    return usageError("standard output is a terminal: send it to a program or a file, as in "
                      "--output - | python3 ...");
  // Writers of archives go back, which a pipe does not.
  std::FILE *file = std::tmpfile();
  if (!file)
    return systemError("write", "standard output");
  return AtomicFile("standard output", TemporaryPath(), file, /*goesToStandardOutput=*/true);
}

AtomicFile::AtomicFile(std::string path, TemporaryPath temporary, std::FILE *file,
                       bool goesToStandardOutput)
    : path(std::move(path)), temporary(std::move(temporary)), file(file),
      goesToStandardOutput(goesToStandardOutput) {}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path(std::move(other.path)), temporary(std::move(other.temporary)), file(other.file),
      goesToStandardOutput(other.goesToStandardOutput), failure(other.failure) {
  other.file = nullptr;
}

AtomicFile::~AtomicFile() {
  if (file)
    std::fclose(file);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() && failure == 0)
    failure = errno;
}

void AtomicFile::seek(int64_t offset) {
  if (fseeko(file, offset, SEEK_SET) != 0 && failure == 0)
    failure = errno;
}

/// Copies all that was written; whether that worked.
static bool copyToStandardOutput(std::FILE *file) {
  char buffer[65536];
  std::rewind(file);
  while (size_t bytes = std::fread(buffer, 1, sizeof buffer, file))
    if (std::fwrite(buffer, 1, bytes, stdout) != bytes)
      return false;
  return !std::ferror(file) && std::fflush(stdout) == 0;
}

Status AtomicFile::commit() {
  auto note = [&](bool worked) {
    if (!worked && failure == 0)
      failure = errno;
  };
  note(std::fflush(file) == 0);
  if (failure == 0 && goesToStandardOutput)
    note(copyToStandardOutput(file));
  note(std::fclose(file) == 0);
  file = nullptr;
  if (failure == 0 && !goesToStandardOutput)
    note(rename(temporary.path().c_str(), path.c_str()) == 0);
  if (failure != 0) {
    errno = failure;
    return systemError("write", path);
  }
  temporary.release();
  return Status::ok();
}

Status cli::writeFile(const std::string &path, std::string_view bytes) {
  QUERN_ASSIGN(AtomicFile file, AtomicFile::create(path));
  file.write(bytes);
  return file.commit();
}

Status cli::checkWritable(const std::string &path) {
  TemporaryPath::removeAbandoned(path);
  auto file = AtomicFile::create(path);
  return file ? Status::ok() : file.status();
}
