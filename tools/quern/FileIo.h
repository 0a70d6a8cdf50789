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

/// Reads a regular file of at most `limit` bytes.
Expected<FileBytes> readFile(const std::string &path, int64_t limit);

/// Io error when a file could not be created at `path`. Leaves nothing behind:
/// for asking before long work. Removes what processes that were killed left there.
Status checkWritable(const std::string &path);

/// Usage error when writing `output` would replace the file `model`.
Status checkKeeps(const std::string &model, const std::string &output);

/// A file that appears at its path, complete, with `commit`, or not at all. What
/// exists before that is a TemporaryPath.
class AtomicFile {
public:
  static Expected<AtomicFile> create(const std::string &path);
  ~AtomicFile();
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;

  /// Errors are kept for `commit`.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  Status commit();

private:
  AtomicFile(std::string path, TemporaryPath temporary, std::FILE *file);
  std::string path;
  TemporaryPath temporary;
  std::FILE *file;
  /// Of the first write that failed, an errno.
  int failure = 0;
};

} // namespace quern::cli
