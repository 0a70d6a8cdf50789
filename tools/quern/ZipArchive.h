//===- ZipArchive.h - files in a ZIP archive ------------------------------===//
#pragma once

#include "tools/quern/FileIo.h"

#include <memory>
#include <optional>
#include <string>
#include <zip.h>

namespace quern::cli {

/// An archive that is read from its file, not from memory: every entry is read once. The container
/// is libzip's, ZIP64 included. Archives are untrusted.
class ZipArchive {
public:
  /// `what` stands for it in errors: ".npz file". InvalidInput for what is none.
  static Expected<ZipArchive> open(InputFile file, std::string what);

  int64_t size() const { return zip_get_num_entries(archive.get(), 0); }
  /// The bytes of the name of an entry; none where it is damaged.
  std::optional<std::string> name(int64_t entry) const;
  /// The entry of this name, if there is one.
  std::optional<int64_t> find(const std::string &name) const;
  /// All bytes of an entry, whose checksum is compared. ResourceLimit for more than `limit`.
  Expected<FileBytes> read(int64_t entry, int64_t limit) const;

private:
  using Handle = std::unique_ptr<zip_t, void (*)(zip_t *)>;
  ZipArchive(Handle archive, std::string what)
      : archive(std::move(archive)), what(std::move(what)) {}
  Status failure(const zip_error_t &error) const;
  Status damagedDirectory() const;

  Handle archive;
  std::string what;
};

} // namespace quern::cli
