//===- Npz.cpp - NumPy's archives of arrays -------------------------------===//
//
// The container is libzip's, ZIP64 included. Archives are read from the file, not from memory:
// every entry is read once, into the memory that its tensor keeps.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Npz.h"

#include "tools/quern/Npy.h"

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
using ZipFile = std::unique_ptr<zip_file_t, void (*)(zip_file_t *)>;

/// What a byte of deflated data becomes at most, rounded up.
constexpr zip_uint64_t kMostDeflated = 1040;
/// The name of an entry has so many bytes at most.
constexpr size_t kMaxNameBytes = std::numeric_limits<uint16_t>::max();

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

Status readFailure(const zip_error_t &error) {
  switch (zip_error_code_zip(&error)) {
  case ZIP_ER_NOPASSWD:
  case ZIP_ER_ENCRNOTSUPP:
    return unsupported("encrypted .npz files");
  case ZIP_ER_COMPNOTSUPP:
    return unsupported("this compression method in a .npz file");
  case ZIP_ER_CRC:
    return invalidInput("the checksum does not match: the .npz file is damaged");
  case ZIP_ER_MEMORY:
    return resourceLimit("out of memory for a .npz file");
  default:
    return invalidInput("the .npz file is damaged");
  }
}

Expected<Archive> openArchive(InputFile file) {
  if (file.bytes == 0) // which libzip takes for an archive of nothing
    return invalidInput("not a .npz file, or cut off");
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *source = zip_source_filep_create(file.file.get(), 0, -1, &error);
  if (!source)
    return readFailure(error);
  (void)file.file.release(); // the source's now
  zip_t *archive = zip_open_from_source(source, ZIP_RDONLY, &error);
  if (archive)
    return Archive(archive, zip_discard);
  zip_source_free(source);
  return invalidInput("not a .npz file, or cut off");
}

/// All bytes of an entry, whose checksum libzip compares at the end.
Expected<FileBytes> readContent(zip_t *archive, zip_uint64_t index, int64_t limit) {
  constexpr zip_uint64_t kWanted = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  zip_stat_t info;
  if (zip_stat_index(archive, index, 0, &info) != 0 || (info.valid & kWanted) != kWanted)
    return invalidInput("the directory of the .npz file is damaged");
  // More than deflate can make of so many bytes is a lie.
  zip_uint64_t most = info.comp_method == ZIP_CM_STORE ? 1 : kMostDeflated;
  if (info.size / most > info.comp_size)
    return invalidInput("the directory of the .npz file is damaged");
  if (info.size > static_cast<zip_uint64_t>(limit))
    return resourceLimit(
        fmt::format("the array needs {} bytes, the limit is {}", info.size, limit));
  ZipFile entry(zip_fopen_index(archive, index, 0), [](zip_file_t *f) { zip_fclose(f); });
  if (!entry)
    return readFailure(*zip_get_error(archive));
  auto size = static_cast<int64_t>(info.size);
  QUERN_ASSIGN(Tensor buffer, Tensor::allocateUninitialized(DType::UInt8, {size}));
  auto shared = std::make_shared<Tensor>(buffer);
  auto *data = static_cast<std::byte *>(shared->mutableRawData());
  for (int64_t at = 0; at < size;) {
    zip_int64_t got = zip_fread(entry.get(), data + at, static_cast<zip_uint64_t>(size - at));
    if (got < 0)
      return readFailure(*zip_file_get_error(entry.get()));
    if (got == 0)
      return invalidInput("the compressed data is damaged");
    at += got;
  }
  std::byte beyond;
  if (zip_int64_t got = zip_fread(entry.get(), &beyond, 1); got != 0)
    return got < 0 ? readFailure(*zip_file_get_error(entry.get()))
                   : invalidInput("the compressed data is damaged");
  return FileBytes{std::shared_ptr<const std::byte>(shared, data), info.size};
}

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
  QUERN_ASSIGN(Archive archive, openArchive(std::move(file)));
  std::vector<NamedArray> arrays;
  int64_t bytesLeft = limits.maxActivationBytes;
  zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    auto index = static_cast<zip_uint64_t>(i);
    const char *found = zip_get_name(archive.get(), index, ZIP_FL_ENC_RAW);
    std::string name = found ? found : "";
    if (name.ends_with(".npy"))
      name.resize(name.size() - 4);
    auto content = readContent(archive.get(), index, std::min(bytesLeft, limits.maxTensorBytes));
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
