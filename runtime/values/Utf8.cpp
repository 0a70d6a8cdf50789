//===- Utf8.cpp - strings as characters -----------------------------------===//
#include "quern/Utf8.h"

#include <iterator>
#include <utf8/unchecked.h>

using namespace quern;

bool quern::isCharacter(char32_t number) {
  return utf8::internal::is_code_point_valid(static_cast<uint32_t>(number));
}

std::u32string quern::decodeUtf8(std::string_view text) {
  std::string valid;
  utf8::unchecked::replace_invalid(text.begin(), text.end(), std::back_inserter(valid),
                                   static_cast<uint32_t>(kReplacementCharacter));
  std::u32string characters;
  utf8::unchecked::utf8to32(valid.begin(), valid.end(), std::back_inserter(characters));
  return characters;
}

std::string quern::encodeUtf8(std::u32string_view characters) {
  std::string text;
  for (char32_t c : characters)
    utf8::unchecked::append(static_cast<uint32_t>(isCharacter(c) ? c : kReplacementCharacter),
                            std::back_inserter(text));
  return text;
}
