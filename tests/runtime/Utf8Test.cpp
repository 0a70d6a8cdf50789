//===- Utf8Test.cpp - strings as characters -------------------------------===//
#include "quern/Utf8.h"

#include <gtest/gtest.h>

using namespace quern;

TEST(Utf8, CharactersOfAllLengthsThereAndBack) {
  const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82";
  EXPECT_EQ(decodeUtf8(text), (std::u32string{U'a', 0xe9, 0x20ac, 0x1f642}));
  EXPECT_EQ(encodeUtf8(decodeUtf8(text)), text);
  const std::string zero("a\0b", 3);
  EXPECT_EQ(encodeUtf8(decodeUtf8(zero)), zero);
  EXPECT_EQ(decodeUtf8(""), U"");
}

// Beyond the last character, overlong, a surrogate, cut off, no first byte.
TEST(Utf8, WhatIsNoCharacterIsReplaced) {
  for (const char *bytes : {"\xf7\xbf\xbf\xbf", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82", "\xff",
                            "\x80", "\xe0\x80\x80", "\xf4\x90\x80\x80"}) {
    std::u32string found = decodeUtf8(std::string("<") + bytes + ">");
    EXPECT_GE(found.size(), 3u);
    EXPECT_EQ(found.front(), U'<');
    EXPECT_EQ(found.back(), U'>');
    for (char32_t c : found.substr(1, found.size() - 2))
      EXPECT_EQ(c, kReplacementCharacter);
  }
  EXPECT_EQ(decodeUtf8("\xc3"), std::u32string(1, kReplacementCharacter));
  EXPECT_EQ(encodeUtf8(std::u32string{0xd800, U'a', 0x110000}), "\xef\xbf\xbd"
                                                                "a\xef\xbf\xbd");
  EXPECT_FALSE(isCharacter(0xdfff));
  EXPECT_TRUE(isCharacter(0x10ffff));
}
