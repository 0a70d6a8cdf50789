//===- Utf8.h - strings as characters -------------------------------------===//
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// What stands for bytes and numbers that are no character.
inline constexpr char32_t kReplacementCharacter = 0xfffd;

/// Whether it is a number of Unicode's that text may have: no surrogate, none beyond the last.
bool isCharacter(char32_t number);
/// The characters of UTF-8 text; for each sequence of bytes that is none the replacement.
std::u32string decodeUtf8(std::string_view text);
/// Valid UTF-8 whatever the numbers are: what is no character becomes the replacement.
std::string encodeUtf8(std::u32string_view characters);

} // namespace quern
