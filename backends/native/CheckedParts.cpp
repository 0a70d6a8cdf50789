//===- CheckedParts.cpp - what files between processes are made of --------===//
#include "backends/native/CheckedParts.h"

#include "llvm/Support/BLAKE3.h"

#include <cstdint>
#include <cstring>

using namespace quern;
using llvm::StringRef;

using Digest = llvm::BLAKE3Result<>;

static Digest digestOf(StringRef bytes) {
  llvm::BLAKE3 hasher;
  hasher.update(bytes);
  return hasher.final();
}

std::string native::packParts(StringRef magic, llvm::ArrayRef<StringRef> parts) {
  std::string content(magic);
  for (StringRef part : parts) {
    uint64_t size = part.size();
    content.append(reinterpret_cast<const char *>(&size), sizeof size).append(part);
  }
  Digest digest = digestOf(content);
  return content.append(reinterpret_cast<const char *>(digest.data()), digest.size());
}

/// Takes the part at the front.
static std::optional<StringRef> takePart(StringRef &bytes) {
  uint64_t size = 0;
  if (bytes.size() < sizeof size)
    return std::nullopt;
  std::memcpy(&size, bytes.data(), sizeof size);
  bytes = bytes.drop_front(sizeof size);
  if (size > bytes.size())
    return std::nullopt;
  StringRef part = bytes.take_front(size);
  bytes = bytes.drop_front(size);
  return part;
}

std::optional<llvm::SmallVector<StringRef>> native::unpackParts(StringRef magic,
                                                                StringRef content) {
  constexpr size_t kDigestBytes = std::tuple_size_v<Digest>;
  if (content.size() < kDigestBytes)
    return std::nullopt;
  StringRef digest = content.take_back(kDigestBytes);
  content = content.drop_back(kDigestBytes);
  Digest wanted = digestOf(content);
  if (std::memcmp(wanted.data(), digest.data(), kDigestBytes) != 0 || !content.consume_front(magic))
    return std::nullopt;
  llvm::SmallVector<StringRef> parts;
  while (!content.empty()) {
    std::optional<StringRef> part = takePart(content);
    if (!part)
      return std::nullopt;
    parts.push_back(*part);
  }
  return parts;
}
