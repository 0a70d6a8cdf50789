//===- ZipArchive.cpp - files in a ZIP archive ----------------------------===//
#include "tools/quern/ZipArchive.h"

#include "quern/Tensor.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

/// What a byte of deflated data becomes at most, rounded up.
static constexpr zip_uint64_t kMostDeflated = 1040;

Status ZipArchive::failure(const zip_error_t &error) const {
  switch (zip_error_code_zip(&error)) {
  case ZIP_ER_NOPASSWD:
  case ZIP_ER_ENCRNOTSUPP:
    return unsupported("encrypted " + what + "s");
  case ZIP_ER_COMPNOTSUPP:
    return unsupported("this compression method in a " + what);
  case ZIP_ER_CRC:
    return invalidInput("the checksum does not match: the " + what + " is damaged");
  case ZIP_ER_MEMORY:
    return resourceLimit("out of memory for a " + what);
  default:
    return invalidInput("the " + what + " is damaged");
  }
}

Status ZipArchive::damagedDirectory() const {
  return invalidInput("the directory of the " + what + " is damaged");
}

Expected<ZipArchive> ZipArchive::open(InputFile file, std::string what) {
  Status none = invalidInput("not a " + what + ", or cut off");
  if (file.bytes == 0) // which libzip takes for an archive of nothing
    return none;
  ZipArchive made(Handle(nullptr, zip_discard), std::move(what));
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *source = zip_source_filep_create(file.file.get(), 0, -1, &error);
  if (!source)
    return made.failure(error);
  (void)file.file.release(); // the source's now
  made.archive.reset(zip_open_from_source(source, ZIP_RDONLY, &error));
  if (made.archive)
    return made;
  zip_source_free(source);
  return none;
}

std::optional<std::string> ZipArchive::name(int64_t entry) const {
  const char *name = zip_get_name(archive.get(), static_cast<zip_uint64_t>(entry), ZIP_FL_ENC_RAW);
  return name ? std::optional<std::string>(name) : std::nullopt;
}

std::optional<int64_t> ZipArchive::find(const std::string &name) const {
  zip_int64_t entry = zip_name_locate(archive.get(), name.c_str(), ZIP_FL_ENC_RAW);
  return entry >= 0 ? std::optional<int64_t>(entry) : std::nullopt;
}

Expected<FileBytes> ZipArchive::read(int64_t entry, int64_t limit) const {
  constexpr zip_uint64_t kWanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  zip_stat_t info;
  auto index = static_cast<zip_uint64_t>(entry);
  if (zip_stat_index(archive.get(), index, 0, &info) != 0 || (info.valid & kWanted) != kWanted)
    return damagedDirectory();
  // More than deflate can make of so many bytes is a lie.
  zip_uint64_t most = info.comp_method == ZIP_CM_STORE ? 1 : kMostDeflated;
  if (info.size / most > info.comp_size)
    return damagedDirectory();
  if (info.size > static_cast<zip_uint64_t>(limit))
    return resourceLimit(fmt::format("it needs {} bytes, the limit is {}", info.size, limit));
  std::unique_ptr<zip_file_t, void (*)(zip_file_t *)> file(zip_fopen_index(archive.get(), index, 0),
                                                           [](zip_file_t *f) { zip_fclose(f); });
  if (!file)
    return failure(*zip_get_error(archive.get()));
  auto size = static_cast<int64_t>(info.size);
  QUERN_ASSIGN(Tensor buffer, Tensor::allocateUninitialized(DType::UInt8, {size}));
  auto shared = std::make_shared<Tensor>(buffer);
  auto *data = static_cast<std::byte *>(shared->mutableRawData());
  for (int64_t at = 0; at < size;) {
    zip_int64_t got = zip_fread(file.get(), data + at, static_cast<zip_uint64_t>(size - at));
    if (got < 0)
      return failure(*zip_file_get_error(file.get()));
    if (got == 0)
      return invalidInput("the compressed data is damaged");
    at += got;
  }
  std::byte beyond;
  if (zip_int64_t got = zip_fread(file.get(), &beyond, 1); got != 0)
    return got < 0 ? failure(*zip_file_get_error(file.get()))
                   : invalidInput("the compressed data is damaged");
  return FileBytes{std::shared_ptr<const std::byte>(shared, data), info.size};
}
