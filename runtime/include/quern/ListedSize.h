//===- ListedSize.h - the sizes that an artefact is compiled for ----------===//
#pragma once

#include "quern/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// A symbolic dimension of a model's inputs, and the sizes that it may have: ascending, each
/// once.
struct ListedSize {
  std::string name;
  std::vector<int64_t> sizes;
};

/// Reads "N=1,8,32", "seq=16..512:16" (every 16th from 16 to 512), or both mixed. UsageError
/// with the text in it when it is neither, or lists more than kMaxListedSizes.
Expected<ListedSize> parseListedSize(std::string_view text);
constexpr int64_t kMaxListedSizes = 4096;

/// All combinations of the sizes of several dimensions, those of the last varying fastest.
/// UsageError when they are more than kMaxListedSizes.
Expected<std::vector<std::vector<int64_t>>> combineSizes(std::span<const ListedSize> lists);

/// "N=1, seq=16": a size for each list.
std::string formatSizes(std::span<const ListedSize> lists, std::span<const int64_t> sizes);

/// InvalidInput unless each of `sizes` is in its list; says which are nearest to one that is
/// not: "there is no code for seq=20: the nearest sizes compiled for are 16 and 32".
Status checkListed(std::span<const ListedSize> lists, std::span<const int64_t> sizes);

} // namespace quern
