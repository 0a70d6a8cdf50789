//===- Npz.cpp - NumPy's archives of arrays -------------------------------===//
//
// The container is libzip's (ZipArchive.h). Every entry is read once, into the memory that its
// tensor keeps.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Npz.h"

#include "tools/quern/Npy.h"
#include "tools/quern/ZipArchive.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <limits>
#include <string_view>
#include <zip.h>

using namespace quern;
using namespace quern::cli;

namespace {
using Archive = std::unique_ptr<zip_t, void (*)(zip_t *)>;

/// The name of an entry has so many bytes at most.
constexpr size_t kMaxNameBytes = std::numeric_limits<uint16_t>::max();

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// The file as libzip writes one. What fails is kept for its commit.
class Sink {
public:
  explicit Sink(AtomicFile &file) : file(file) { zip_error_init(&error); }
  static zip_int64_t call(void *sink, void *data, zip_uint64_t bytes, zip_source_cmd_t command) {
    return static_cast<Sink *>(sink)->answer(data, bytes, command);
  }

private:
  zip_int64_t answer(void *data, zip_uint64_t bytes, zip_source_cmd_t command);
  zip_int64_t seek(void *data, zip_uint64_t bytes);
  zip_int64_t fail(int code) {
    zip_error_set(&error, code, errno);
    return -1;
  }

  AtomicFile &file;
  zip_error_t error;
  zip_int64_t at = 0, end = 0;
};
} // namespace

zip_int64_t Sink::seek(void *data, zip_uint64_t bytes) {
  zip_int64_t offset = zip_source_seek_compute_offset(
      static_cast<zip_uint64_t>(at), static_cast<zip_uint64_t>(end), data, bytes, &error);
  if (offset < 0)
    return -1;
  file.seek(at = offset);
  return 0;
}

zip_int64_t Sink::answer(void *data, zip_uint64_t bytes, zip_source_cmd_t command) {
  switch (command) {
  case ZIP_SOURCE_SUPPORTS:
    return zip_source_make_command_bitmap(
        ZIP_SOURCE_SUPPORTS, ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_COMMIT_WRITE, ZIP_SOURCE_ERROR,
        ZIP_SOURCE_FREE, ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_REMOVE,
        ZIP_SOURCE_ROLLBACK_WRITE, ZIP_SOURCE_SEEK, ZIP_SOURCE_SEEK_WRITE, ZIP_SOURCE_STAT,
        ZIP_SOURCE_TELL, ZIP_SOURCE_TELL_WRITE, ZIP_SOURCE_WRITE, -1);
  case ZIP_SOURCE_STAT: // nothing is there yet
    zip_stat_init(static_cast<zip_stat_t *>(data));
    errno = ENOENT;
    return fail(ZIP_ER_READ);
  case ZIP_SOURCE_ERROR:
    return zip_error_to_data(&error, data, bytes);
  case ZIP_SOURCE_WRITE:
    file.write({static_cast<const std::byte *>(data), bytes});
    at += static_cast<zip_int64_t>(bytes);
    end = std::max(at, end);
    return static_cast<zip_int64_t>(bytes);
  case ZIP_SOURCE_SEEK_WRITE:
    return seek(data, bytes);
  case ZIP_SOURCE_TELL_WRITE:
    return at;
  case ZIP_SOURCE_BEGIN_WRITE:
  case ZIP_SOURCE_COMMIT_WRITE:
  case ZIP_SOURCE_ROLLBACK_WRITE:
  case ZIP_SOURCE_FREE:
    return 0;
  default:
    return fail(ZIP_ER_OPNOTSUPP);
  }
}

static Status writeFailure(zip_t *archive) {
  const zip_error_t *error = zip_get_error(archive);
  zip_error_t copy = *error;
  return internalError(fmt::format("writing a .npz file failed: {}", zip_error_strerror(&copy)));
}

/// Adds an entry, not compressed, whose bytes stay where they are.
static Status addEntry(zip_t *archive, const std::string &name, const NpyArray &npy) {
  if (name.size() > kMaxNameBytes || name.find('\0') != std::string::npos)
    return unsupported(fmt::format("a name of {} bytes{} in a .npz file: write NAME=FILE.npy",
                                   name.size(),
                                   name.size() > kMaxNameBytes ? "" : ", one of them zero,"));
  zip_buffer_fragment_t parts[] = {
      {reinterpret_cast<zip_uint8_t *>(const_cast<char *>(npy.header.data())), npy.header.size()},
      {reinterpret_cast<zip_uint8_t *>(const_cast<std::byte *>(npy.bytes().data())),
       npy.bytes().size()}};
  zip_source_t *source = zip_source_buffer_fragment(archive, parts, npy.bytes().empty() ? 1 : 2, 0);
  if (!source)
    return writeFailure(archive);
  zip_int64_t index = zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) // not UTF-8
    index = zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_CP437);
  if (index < 0) {
    zip_source_free(source);
    return writeFailure(archive);
  }
  auto number = static_cast<zip_uint64_t>(index);
  constexpr zip_uint16_t kDate = (1 << 5) | 1; // 1980-01-01: equal outputs are equal files
  if (zip_set_file_compression(archive, number, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive, number, 0, kDate, 0) != 0)
    return writeFailure(archive);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Both
//===----------------------------------------------------------------------===//

Expected<std::vector<NamedArray>> cli::readNpz(const std::string &path, const Limits &limits) {
  QUERN_ASSIGN(InputFile file, openFile(path));
  QUERN_ASSIGN(ZipArchive archive, ZipArchive::open(std::move(file), ".npz file"));
  std::vector<NamedArray> arrays;
  int64_t bytesLeft = limits.maxActivationBytes;
  for (int64_t i = 0; i < archive.size(); ++i) {
    std::string name = archive.name(i).value_or("");
    if (name.ends_with(".npy"))
      name.resize(name.size() - 4);
    auto content = archive.read(i, std::min(bytesLeft, limits.maxTensorBytes));
    if (!content)
      return content.status().withContext("array '" + name + "'");
    bytesLeft -= static_cast<int64_t>(content->size);
    auto tensor = parseNpy(content->bytes(), content->data, limits);
    if (!tensor)
      return tensor.status().withContext("array '" + name + "'");
    arrays.push_back({std::move(name), tensor.take()});
  }
  return arrays;
}

Status cli::writeNpz(AtomicFile &file, const std::vector<NamedArray> &arrays) {
  Sink sink(file);
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *target = zip_source_function_create(Sink::call, &sink, &error);
  if (!target)
    return resourceLimit("out of memory for a .npz file");
  zip_t *opened = zip_open_from_source(target, ZIP_CREATE | ZIP_TRUNCATE, &error);
  if (!opened) {
    zip_source_free(target);
    return internalError(fmt::format("making a .npz file failed: {}", zip_error_strerror(&error)));
  }
  Archive archive(opened, zip_discard);
  std::vector<NpyArray> contents; // which libzip reads at the end
  contents.reserve(arrays.size());
  for (const NamedArray &array : arrays) {
    auto npy = toNpy(array.tensor);
    if (!npy)
      return npy.status().withContext("array '" + array.name + "'");
    contents.push_back(npy.take());
    QUERN_TRY(addEntry(opened, array.name + ".npy", contents.back()));
  }
  if (arrays.empty()) // libzip writes no archive without entries
    file.write(std::string_view("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22));
  else if (zip_close(opened) != 0)
    return writeFailure(opened);
  else
    archive.release();
  return Status::ok();
}

Status cli::writeNpz(const std::string &path,
                     std::span<const std::pair<std::string, AnyValue>> values) {
  std::vector<NamedArray> arrays;
  for (const auto &[name, value] : values) {
    const Tensor *tensor = value.asTensor();
    if (!tensor)
      return unsupported(fmt::format("'{}' is no tensor, which .npz files cannot have", name));
    arrays.push_back({name, *tensor});
  }
  QUERN_ASSIGN(AtomicFile file, AtomicFile::create(path));
  QUERN_TRY(writeNpz(file, arrays));
  return file.commit();
}
