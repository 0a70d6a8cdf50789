//===- FileIo.h - whole files, bounded and atomic -------------------------===//
#pragma once

#include "quern/Status.h"
#include "quern/TemporaryPath.h"

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace quern::cli {

/// The bytes of a file in memory that vectors may be loaded from.
struct FileBytes {
  std::shared_ptr<const std::byte> data;
  size_t size = 0;
  std::span<const std::byte> bytes() const { return {data.get(), size}; }
};

/// A regular file that is open for reading.
struct InputFile {
  std::unique_ptr<std::FILE, int (*)(std::FILE *)> file;
  int64_t bytes = 0;
};
Expected<InputFile> openFile(const std::string &path);

/// Reads a regular file of at most `limit` bytes.
Expected<FileBytes> readFile(const std::string &path, int64_t limit);

/// The file has these bytes then, or is as it was.
Status writeFile(const std::string &path, std::string_view bytes);

/// Io error when a file could not be created at `path`. Leaves nothing behind:
/// for asking before long work. Removes what processes that were killed left there.
Status checkWritable(const std::string &path);

/// A file that appears at its path, complete, with `commit`, or not at all; with the
/// permissions of the one that it replaces. What exists before that is a TemporaryPath.
class AtomicFile {
public:
  static Expected<AtomicFile> create(const std::string &path);
  /// All of it appears when it is committed. Usage error when it is a terminal.
  static Expected<AtomicFile> standardOutput();
  ~AtomicFile();
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;

  /// Errors are kept for `commit`.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// The next bytes are written there.
  void seek(int64_t offset);
  Status commit();

private:
  AtomicFile(std::string path, TemporaryPath temporary, std::FILE *file,
             bool goesToStandardOutput = false);
  std::string path;
  TemporaryPath temporary;
  std::FILE *file;
  bool goesToStandardOutput;
  /// Of the first write that failed, an errno.
  int failure = 0;
};

} // namespace quern::cli
