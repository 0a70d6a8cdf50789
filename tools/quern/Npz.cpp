//===- Npz.cpp - NumPy's archives of arrays -------------------------------===//
//
// The container only, as far as NumPy uses it: no encryption, no multi-part
// archives. Inflation and checksums are zlib's.
//
//===----------------------------------------------------------------------===//
#include "tools/quern/Npz.h"

#include "tools/quern/Npy.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <string_view>
#include <zlib.h>

using namespace quern;
using namespace quern::cli;

namespace {
constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kCentralHeader = 0x02014b50;
constexpr uint32_t kEndOfDirectory = 0x06054b50;
constexpr size_t kLocalHeaderBytes = 30;
constexpr size_t kCentralHeaderBytes = 46;
constexpr size_t kEndOfDirectoryBytes = 22;
constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;
/// In a 32-bit size field: the size is in a ZIP64 field.
constexpr uint32_t kIsZip64 = 0xffffffff;

using Bytes = std::span<const std::byte>;

/// The little-endian number of `count` bytes at `offset`; nullopt outside.
std::optional<uint32_t> readNumber(Bytes bytes, size_t offset, size_t count) {
  if (offset > bytes.size() || bytes.size() - offset < count)
    return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i)
    value |= std::to_integer<uint32_t>(bytes[offset + i]) << (8 * i);
  return value;
}

/// Part of `bytes`; nullopt outside.
std::optional<Bytes> slice(Bytes bytes, size_t offset, size_t count) {
  if (offset > bytes.size() || bytes.size() - offset < count)
    return std::nullopt;
  return bytes.subspan(offset, count);
}

struct Entry {
  std::string name;
  uint16_t flags = 0;
  uint16_t method = 0;
  uint32_t checksum = 0;
  uint32_t packedBytes = 0;
  uint32_t bytes = 0;
  uint32_t headerOffset = 0;
};

/// One record of the central directory at `offset`, which moves behind it.
std::optional<Entry> readEntry(Bytes file, size_t &offset) {
  auto header = slice(file, offset, kCentralHeaderBytes);
  if (!header || readNumber(*header, 0, 4) != kCentralHeader)
    return std::nullopt;
  auto field = [&](size_t at, size_t count) { return *readNumber(*header, at, count); };
  Entry entry;
  entry.flags = static_cast<uint16_t>(field(8, 2));
  entry.method = static_cast<uint16_t>(field(10, 2));
  entry.checksum = field(16, 4);
  entry.packedBytes = field(20, 4);
  entry.bytes = field(24, 4);
  entry.headerOffset = field(42, 4);
  size_t nameBytes = field(28, 2);
  auto name = slice(file, offset + kCentralHeaderBytes, nameBytes);
  if (!name)
    return std::nullopt;
  entry.name.assign(reinterpret_cast<const char *>(name->data()), nameBytes);
  offset += kCentralHeaderBytes + nameBytes + field(30, 2) + field(32, 2);
  return entry;
}

/// The record at the end, which a comment of up to 64 KiB may follow.
std::optional<size_t> findEndOfDirectory(Bytes file) {
  if (file.size() < kEndOfDirectoryBytes)
    return std::nullopt;
  size_t last = file.size() - kEndOfDirectoryBytes;
  for (size_t back = 0; back <= std::min<size_t>(last, 0xffff); ++back)
    if (readNumber(file, last - back, 4) == kEndOfDirectory)
      return last - back;
  return std::nullopt;
}

Expected<std::vector<Entry>> readDirectory(Bytes file) {
  auto end = findEndOfDirectory(file);
  if (!end)
    return invalidInput("not a .npz file, or cut off");
  uint32_t count = *readNumber(file, *end + 10, 2);
  size_t offset = *readNumber(file, *end + 16, 4);
  std::vector<Entry> entries;
  for (uint32_t i = 0; i < count; ++i) {
    auto entry = readEntry(file, offset);
    if (!entry)
      return invalidInput("the directory of the .npz file is damaged");
    entries.push_back(std::move(*entry));
  }
  return entries;
}

/// Inflates raw deflate data to exactly `out`.
bool inflateTo(Bytes packed, std::span<std::byte> out) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return false;
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<std::byte *>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef *>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  int result = inflate(&stream, Z_FINISH);
  bool complete = result == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  return complete;
}

uint32_t checksumOf(uint32_t start, Bytes bytes) {
  return static_cast<uint32_t>(
      crc32_z(start, reinterpret_cast<const Bytef *>(bytes.data()), bytes.size()));
}

/// The bytes of an entry; stored ones are borrowed from `file`.
Expected<FileBytes> readContent(const FileBytes &file, const Entry &entry, const Limits &limits) {
  if (entry.bytes == kIsZip64 || entry.packedBytes == kIsZip64 || entry.headerOffset == kIsZip64)
    return unsupported("arrays of 4 GiB and more in a .npz file; use a .npy file");
  if (entry.flags & 1)
    return unsupported("encrypted .npz files");
  Bytes all = file.bytes();
  auto nameBytes = readNumber(all, size_t{entry.headerOffset} + 26, 2);
  auto extraBytes = readNumber(all, size_t{entry.headerOffset} + 28, 2);
  if (readNumber(all, entry.headerOffset, 4) != kLocalHeader || !nameBytes || !extraBytes)
    return invalidInput("the .npz file is damaged");
  size_t offset = size_t{entry.headerOffset} + kLocalHeaderBytes + *nameBytes + *extraBytes;
  auto packed = slice(all, offset, entry.packedBytes);
  if (!packed || (entry.method == kStored && entry.bytes != entry.packedBytes))
    return invalidInput("the .npz file is damaged");

  FileBytes content;
  if (entry.method == kStored) {
    content = {std::shared_ptr<const std::byte>(file.data, packed->data()), packed->size()};
  } else if (entry.method == kDeflated) {
    if (static_cast<int64_t>(entry.bytes) > limits.maxTensorBytes)
      return resourceLimit(fmt::format("the array needs {} bytes, the limit is {}", entry.bytes,
                                       limits.maxTensorBytes));
    QUERN_ASSIGN(Tensor buffer, Tensor::allocateUninitialized(DType::UInt8, {entry.bytes}));
    auto shared = std::make_shared<Tensor>(buffer);
    auto *data = static_cast<std::byte *>(shared->mutableRawData());
    if (!inflateTo(*packed, {data, entry.bytes}))
      return invalidInput("the compressed data is damaged");
    content = {std::shared_ptr<const std::byte>(shared, data), entry.bytes};
  } else {
    return unsupported(fmt::format("compression method {} in a .npz file", entry.method));
  }
  if (checksumOf(0, content.bytes()) != entry.checksum)
    return invalidInput("the checksum does not match: the .npz file is damaged");
  return content;
}

/// Builds little-endian records.
class Record {
public:
  Record &add16(uint32_t v) { return add(v, 2); }
  Record &add32(uint32_t v) { return add(v, 4); }
  Record &add(std::string_view text) {
    bytes += text;
    return *this;
  }
  const std::string &str() const { return bytes; }

private:
  Record &add(uint32_t value, int count) {
    for (int i = 0; i < count; ++i)
      bytes += static_cast<char>(value >> (8 * i));
    return *this;
  }
  std::string bytes;
};

/// What local header and central directory say alike, from "version needed" on.
void addCommonFields(Record &record, const Entry &entry) {
  constexpr uint32_t kVersionNeeded = 20;
  constexpr uint32_t kUtf8Names = 1 << 11;
  constexpr uint32_t kDate = (1 << 5) | 1; // 1980-01-01: equal outputs are equal files
  record.add16(kVersionNeeded).add16(kUtf8Names).add16(kStored).add16(0).add16(kDate);
  record.add32(entry.checksum).add32(entry.bytes).add32(entry.bytes);
  record.add16(static_cast<uint32_t>(entry.name.size())).add16(0);
}
} // namespace

Expected<std::vector<NamedArray>> cli::parseNpz(const FileBytes &file, const Limits &limits) {
  QUERN_ASSIGN(std::vector<Entry> entries, readDirectory(file.bytes()));
  std::vector<NamedArray> arrays;
  for (const Entry &entry : entries) {
    std::string name = entry.name;
    if (name.ends_with(".npy"))
      name.resize(name.size() - 4);
    auto content = readContent(file, entry, limits);
    if (!content)
      return content.status().withContext("array '" + name + "'");
    auto tensor = parseNpy(content->bytes(), content->data, limits);
    if (!tensor)
      return tensor.status().withContext("array '" + name + "'");
    arrays.push_back({std::move(name), tensor.take()});
  }
  return arrays;
}

Status cli::writeNpz(AtomicFile &file, const std::vector<NamedArray> &arrays) {
  Record directory;
  CheckedSize written(0);
  auto write = [&](std::string_view text) {
    file.write(text);
    written += CheckedSize(text.size());
  };
  for (const NamedArray &array : arrays) {
    auto npy = toNpy(array.tensor);
    if (!npy)
      return npy.status().withContext("array '" + array.name + "'");
    Bytes data = npy->bytes();
    CheckedSize bytes = CheckedSize(npy->header.size()) + CheckedSize(data.size());
    if ((written + bytes).value() >= static_cast<int64_t>(kIsZip64))
      return resourceLimit("array '" + array.name +
                           "': a .npz file holds up to 4 GiB; write NAME=FILE.npy");
    Entry entry;
    entry.name = array.name + ".npy";
    entry.checksum = checksumOf(checksumOf(0, std::as_bytes(std::span(npy->header))), data);
    entry.bytes = static_cast<uint32_t>(bytes.value());
    entry.headerOffset = static_cast<uint32_t>(written.value());

    Record local;
    addCommonFields(local.add32(kLocalHeader), entry);
    write(local.add(entry.name).str());
    write(npy->header);
    write({reinterpret_cast<const char *>(data.data()), data.size()});

    addCommonFields(directory.add32(kCentralHeader).add16(20), entry);
    directory.add16(0).add16(0).add16(0).add32(0).add32(entry.headerOffset).add(entry.name);
  }
  auto directoryOffset = static_cast<uint32_t>(written.value());
  auto count = static_cast<uint32_t>(arrays.size());
  write(directory.str());
  Record end;
  end.add32(kEndOfDirectory).add16(0).add16(0).add16(count).add16(count);
  end.add32(static_cast<uint32_t>(directory.str().size())).add32(directoryOffset).add16(0);
  write(end.str());
  return Status::ok();
}
