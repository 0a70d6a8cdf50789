//===- AotWeightsFile.cpp - packed weights in a file beside the code ------===//
#include "backends/native/aot/AotWeightsFile.h"

#include "backends/native/aot/WeightsFileHeader.h"
#include "backends/native/codegen/CloseFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <bit>
#include <cstring>

using namespace quern;
using namespace quern::native;

constexpr auto kBlockBytes = static_cast<size_t>(WeightLayout::kAlignment);
static_assert(kBlockBytes == WeightsHash::kLanes * sizeof(uint64_t));
static_assert(sizeof(WeightsFileHeader) == kBlockBytes);

//===----------------------------------------------------------------------===//
// The hash
//===----------------------------------------------------------------------===//

// One to one in each operand, so that what differs in one word stays different.
static uint64_t mix(uint64_t state, uint64_t word) {
  return std::rotl((state ^ word) * WeightsHash::kFactor, WeightsHash::kRotation);
}

WeightsHash::WeightsHash() {
  for (size_t i = 0; i < kLanes; ++i)
    lanes[i] = firstOf(i);
}

void WeightsHash::addBlock(const unsigned char *block) {
  for (size_t i = 0; i < kLanes; ++i) {
    uint64_t word;
    std::memcpy(&word, block + i * sizeof word, sizeof word);
    lanes[i] = mix(lanes[i], word);
  }
}

void WeightsHash::add(const void *data, size_t bytes) {
  const auto *next = static_cast<const unsigned char *>(data);
  for (; bytes >= kBlockBytes; bytes -= kBlockBytes, next += kBlockBytes)
    addBlock(next);
  if (bytes == 0)
    return;
  unsigned char last[kBlockBytes] = {};
  std::memcpy(last, next, bytes);
  addBlock(last);
}

uint64_t WeightsHash::value() const {
  uint64_t all = 0;
  for (uint64_t lane : lanes)
    all = mix(all, lane);
  return all;
}

static uint64_t hashOf(const WeightLayout &layout) {
  WeightsHash hash;
  for (const Tensor &tensor : layout.tensors)
    hash.add(tensor.rawData(), static_cast<size_t>(tensor.numBytes()));
  return hash.value();
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

std::string native::weightsPath(const std::string &outputPath) {
  llvm::SmallString<128> path(outputPath);
  llvm::sys::path::replace_extension(path, ".weights");
  return std::string(path);
}

std::vector<WeightsPart> native::placeInFile(std::span<const WeightLayout *const> layouts) {
  std::vector<WeightsPart> parts;
  int64_t end = kBlockBytes;
  WeightsHash whole;
  for (const WeightLayout *layout : layouts) {
    WeightsPart part{.offset = end, .bytes = layout->bytes, .hash = hashOf(*layout)};
    whole.add(&part, sizeof part);
    end += layout->bytes;
    parts.push_back(part);
  }
  for (WeightsPart &part : parts) {
    part.fileBytes = end;
    part.fileHash = whole.value();
  }
  return parts;
}

Status native::writeWeightsFile(const std::string &path,
                                std::span<const WeightLayout *const> layouts,
                                std::span<const WeightsPart> parts) {
  std::error_code error;
  llvm::raw_fd_ostream out(path, error);
  if (error)
    return ioError("cannot write " + path + ": " + error.message());
  WeightsFileHeader header = {};
  header.magic = WeightsFileHeader::kMagic;
  header.version = WeightsFileHeader::kVersion;
  header.bytes = static_cast<uint64_t>(parts.front().fileBytes);
  header.hash = parts.front().fileHash;
  out.write(reinterpret_cast<const char *>(&header), sizeof header);
  for (const WeightLayout *layout : layouts)
    writeTensors(out, *layout);
  return closeFile(out, path);
}
