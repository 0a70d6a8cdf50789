//===- NodeNames.cpp - the nodes of a step, for people --------------------===//
#include "tools/quern/NodeNames.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

/// Room for a list of nodes in a table, and for one name of a list.
static constexpr size_t kMostLetters = 48, kMostOfName = 32;

/// Whether a byte of UTF-8 continues a character.
static bool isInside(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::string cli::shortened(std::string_view name, size_t most) {
  if (name.size() <= most)
    return std::string(name);
  constexpr std::string_view kGap = "...";
  size_t head = (most - kGap.size()) / 3;
  size_t tail = name.size() - (most - kGap.size() - head);
  while (head > 0 && isInside(name[head]))
    --head;
  while (tail < name.size() && isInside(name[tail]))
    ++tail;
  return fmt::format("{}{}{}", name.substr(0, head), kGap, name.substr(tail));
}

std::string cli::shownNodes(const std::string &nodes, const OutputStyle &style) {
  if (style.verbosity > 0 || nodes.size() <= kMostLetters)
    return nodes;
  size_t count = static_cast<size_t>(std::count(nodes.begin(), nodes.end(), '+')) + 1;
  if (count == 1)
    return shortened(nodes, kMostLetters);
  std::string_view all = nodes;
  return fmt::format("{} ... {} ({})", shortened(all.substr(0, all.find('+')), kMostOfName),
                     shortened(all.substr(all.rfind('+') + 1), kMostOfName), count);
}

std::string cli::shownName(const std::string &name, const OutputStyle &style) {
  return style.verbosity > 0 ? name : shortened(name, kMostLetters);
}
