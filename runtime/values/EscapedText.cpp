//===- EscapedText.cpp - names of models, where they do no harm -----------===//
#include "quern/EscapedText.h"

#include <cstdint>
#include <fmt/format.h>
#include <iterator>

using namespace quern;

namespace {
/// One character of UTF-8, or one byte that begins none.
struct Character {
  uint32_t code;
  size_t bytes;
  bool isValid;
};
} // namespace

/// As the standard has it: nothing overlong, no surrogates, nothing above U+10FFFF.
static Character firstOf(std::string_view text) {
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const Character invalid{byte(0), 1, false};
  if (byte(0) < 0x80)
    return {byte(0), 1, true};
  size_t count = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC0 || byte(0) >= 0xF8 || text.size() < count)
    return invalid;
  uint32_t code = byte(0) & (0xFFu >> (count + 1));
  for (size_t i = 1; i < count; ++i) {
    if ((byte(i) & 0xC0) != 0x80)
      return invalid;
    code = code << 6 | (byte(i) & 0x3F);
  }
  bool isSurrogate = code >= 0xD800 && code < 0xE000;
  return code < kSmallest[count] || isSurrogate || code > 0x10FFFF ? invalid
                                                                   : Character{code, count, true};
}

/// Characters that do something instead of showing something.
static bool isControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x200E && code <= 0x200F) ||
         (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0x61C;
}

/// Whether the comment would end here, begin once more, or hold a trigraph.
static bool endsPair(char before, char now) {
  return (before == '*' && now == '/') || (before == '/' && now == '*') ||
         (before == '?' && now == '?');
}

static std::string escapeForLiteral(std::string_view text) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789 _-+*/.,:;()[]{}<>=#$@|~";
  std::string result;
  for (char c : text)
    if (kPlain.find(c) != std::string_view::npos)
      result += c;
    else // three octal digits end the escape, whatever follows
      fmt::format_to(std::back_inserter(result), "\\{:03o}", static_cast<unsigned char>(c));
  return result;
}

std::string quern::escapeText(std::string_view text, TextPlace place) {
  if (place == TextPlace::CString)
    return escapeForLiteral(text);
  std::string result;
  for (size_t at = 0; at < text.size();) {
    Character next = firstOf(text.substr(at));
    bool isLayout = next.code == '\n' || next.code == '\t';
    bool isPair = place == TextPlace::CComment && at > 0 && endsPair(text[at - 1], text[at]);
    if (isPair || !next.isValid ||
        (isControl(next.code) && !(isLayout && place == TextPlace::Terminal)))
      result += next.code > 0xFF ? fmt::format("\\u{:04X}", next.code)
                                 : fmt::format("\\x{:02X}", next.code);
    else
      result += text.substr(at, next.bytes);
    at += next.bytes;
  }
  return result;
}
