//===- ListedSize.cpp - the sizes that an artefact is compiled for --------===//
#include "quern/ListedSize.h"

#include "quern/CheckedSize.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

using namespace quern;

namespace {
/// Takes a size, or a range of them, off the front of a text.
class SizeParser {
public:
  explicit SizeParser(std::string_view text) : text(text) {}

  bool parseList(std::vector<int64_t> &sizes) {
    do
      if (!parseRange(sizes))
        return false;
    while (take(","));
    return text.empty();
  }

private:
  bool take(std::string_view token) {
    if (!text.starts_with(token))
      return false;
    text.remove_prefix(token.size());
    return true;
  }
  bool parseSize(int64_t &size) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || size < 0)
      return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return true;
  }
  /// "8", "8..32" or "8..32:4".
  bool parseRange(std::vector<int64_t> &sizes) {
    int64_t first = 0, last = 0, step = 1;
    if (!parseSize(first))
      return false;
    last = first;
    if (take("..") && (!parseSize(last) || (take(":") && !parseSize(step))))
      return false;
    if (step == 0 || last < first ||
        (last - first) / step >= kMaxListedSizes - static_cast<int64_t>(sizes.size()))
      return false;
    for (int64_t count = (last - first) / step, i = 0; i <= count; ++i)
      sizes.push_back(first + i * step);
    return true;
  }

  std::string_view text;
};
} // namespace

Expected<ListedSize> quern::parseListedSize(std::string_view text) {
  ListedSize list;
  // A name may contain '=', sizes may not.
  size_t split = text.rfind('=');
  if (split == std::string_view::npos || split == 0 ||
      !SizeParser(text.substr(split + 1)).parseList(list.sizes))
    return usageError(fmt::format("'{}': wanted NAME=SIZES, as in N=1,8,32 or seq=16..512:16, at "
                                  "most {} of them",
                                  text, kMaxListedSizes));
  list.name = text.substr(0, split);
  std::sort(list.sizes.begin(), list.sizes.end());
  list.sizes.erase(std::unique(list.sizes.begin(), list.sizes.end()), list.sizes.end());
  return list;
}

Expected<std::vector<std::vector<int64_t>>> quern::combineSizes(std::span<const ListedSize> lists) {
  CheckedSize count = 1;
  for (const ListedSize &list : lists)
    count = count * CheckedSize(static_cast<int64_t>(list.sizes.size()));
  if (!count.valid() || count.value() > kMaxListedSizes)
    return usageError(fmt::format("the listed sizes combine to more than {} sets of sizes, each of "
                                  "which needs a plan of its own",
                                  kMaxListedSizes));
  std::vector<std::vector<int64_t>> combinations(1);
  for (const ListedSize &list : lists) {
    std::vector<std::vector<int64_t>> longer;
    for (const std::vector<int64_t> &begun : combinations)
      for (int64_t size : list.sizes) {
        longer.push_back(begun);
        longer.back().push_back(size);
      }
    combinations = std::move(longer);
  }
  return combinations;
}

std::string quern::formatSizes(std::span<const ListedSize> lists, std::span<const int64_t> sizes) {
  std::string text;
  for (size_t i = 0; i < lists.size(); ++i)
    text += fmt::format("{}{}={}", i ? ", " : "", lists[i].name, sizes[i]);
  return text;
}

/// "16 and 32", or the one at the end of the list.
static std::string neighbours(const ListedSize &list, int64_t size) {
  auto above = std::upper_bound(list.sizes.begin(), list.sizes.end(), size);
  if (above == list.sizes.begin())
    return fmt::format("size compiled for is {}", *above);
  if (above == list.sizes.end())
    return fmt::format("size compiled for is {}", above[-1]);
  return fmt::format("sizes compiled for are {} and {}", above[-1], *above);
}

Status quern::checkListed(std::span<const ListedSize> lists, std::span<const int64_t> sizes) {
  std::string missing;
  for (size_t i = 0; i < lists.size(); ++i)
    if (!std::binary_search(lists[i].sizes.begin(), lists[i].sizes.end(), sizes[i]))
      missing +=
          fmt::format("{}there is no code for {}={}: the nearest {}", missing.empty() ? "" : "; ",
                      lists[i].name, sizes[i], neighbours(lists[i], sizes[i]));
  return missing.empty() ? Status::ok() : invalidInput(missing);
}
