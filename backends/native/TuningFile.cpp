//===- TuningFile.cpp - measured ways on disk -----------------------------===//
#include "backends/native/TuningFile.h"

#include "backends/native/CheckedParts.h"
#include "backends/native/emit/KernelKey.h"
#include "quern/Machine.h"
#include "runtime/system/FileDescriptor.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace quern;
using namespace quern::native;

/// First the surroundings, then a problem and its way, and so on.
static constexpr llvm::StringLiteral kMagic = "quern tuning 1\n";
/// Some hundred thousand problems.
static constexpr int64_t kMostFileBytes = int64_t{16} << 20;

std::string native::machineText() {
  Machine machine = describeMachine();
  std::string text = machine.cpuModel;
  for (const CpuCache &cache : machine.caches)
    text += fmt::format(";{}{} {}", cache.kind, cache.level, cache.bytes);
  return text;
}

TuningFile::TuningFile(std::string folder, const Target &target, const std::string &machine)
    : folder(std::move(folder)) {
  KernelSurroundings emitters(target);
  surroundings = emitters.bytes() + machine;
  name = KernelKey(emitters, machine).text() + ".tuning";
}

Expected<TuningTable> TuningFile::load() const {
  TuningTable table;
  std::string path = folder + "/" + name;
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.isOpen() && errno == ENOENT)
    return table;
  Status damaged = ioError(fmt::format("'{}' is not as it was written", path));
  struct stat info;
  if (!file.isOpen() || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_size > kMostFileBytes)
    return damaged;
  std::string content(static_cast<size_t>(info.st_size), '\0');
  if (!readAll(file.get(), content))
    return damaged;
  auto parts = unpackParts(kMagic, content);
  if (!parts || parts->size() % 2 != 1 || parts->front() != llvm::StringRef(surroundings))
    return damaged;
  for (size_t i = 1; i < parts->size(); i += 2)
    table.add((*parts)[i].str(), (*parts)[i + 1].str());
  return table;
}

static Status failure(const std::string &what) {
  return ioError(fmt::format("cannot write '{}': {}", what, std::strerror(errno)));
}

Status TuningFile::add(const TuningTable &ways) const {
  // Who has the lock reads, and writes what is then known. A begun file without one is abandoned.
  std::string begun = folder + "/." + name + ".begun";
  FileDescriptor lock(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.isOpen() || flock(lock.get(), LOCK_EX) != 0)
    return failure(folder);
  TuningTable all;
  if (Expected<TuningTable> known = load())
    all = known.take();
  for (const auto &[problem, way] : ways.all())
    all.add(problem, way);
  llvm::SmallVector<llvm::StringRef> parts = {surroundings};
  for (const auto &[problem, way] : all.all())
    parts.append({problem, way});
  FileDescriptor file(open(begun.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                           S_IRUSR | S_IWUSR));
  if (!file.isOpen() || !writeAll(file.get(), packParts(kMagic, parts)) ||
      rename(begun.c_str(), (folder + "/" + name).c_str()) != 0) {
    Status status = failure(begun);
    unlink(begun.c_str());
    return status;
  }
  return Status::ok();
}
