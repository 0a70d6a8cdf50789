//===- EscapedTextTest.cpp ------------------------------------------------===//
#include "quern/EscapedText.h"

#include <gtest/gtest.h>

using namespace quern;

static std::string onTerminal(std::string_view text) {
  return escapeText(text, TextPlace::Terminal);
}
static std::string onLine(std::string_view text) { return escapeText(text, TextPlace::Line); }
static std::string inComment(std::string_view text) {
  return escapeText(text, TextPlace::CComment);
}
static std::string inLiteral(std::string_view text) { return escapeText(text, TextPlace::CString); }

TEST(EscapedText, PlainTextStays) {
  for (const char *text : {"", "conv1/weight:0", "größe", "データ", "😀", "a\\b", "%s 100%"})
    for (TextPlace place : {TextPlace::Terminal, TextPlace::Line, TextPlace::CComment})
      EXPECT_EQ(escapeText(text, place), text);
  EXPECT_EQ(inLiteral("conv1/weight:0"), "conv1/weight:0");
}

TEST(EscapedText, ControlCharacters) {
  EXPECT_EQ(onTerminal("a\x1b[31mb\r\a\x7f"), "a\\x1B[31mb\\x0D\\x07\\x7F");
  EXPECT_EQ(onTerminal(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(onTerminal("\u009b31m"), "\\x9B31m") << "of Unicode, too";
  EXPECT_EQ(onTerminal("a\u202eb\u2066\u2028"), "a\\u202Eb\\u2066\\u2028");
}

TEST(EscapedText, LineEnds) {
  EXPECT_EQ(onTerminal("a\n\tb"), "a\n\tb");
  EXPECT_EQ(onLine("a\n\tb"), "a\\x0A\\x09b");
}

TEST(EscapedText, InvalidUtf8) {
  EXPECT_EQ(onTerminal("\x9b"
                       "a"),
            "\\x9Ba");
  EXPECT_EQ(onTerminal("\xff\xfe"), "\\xFF\\xFE");
  EXPECT_EQ(onTerminal("\xc0\xaf"), "\\xC0\\xAF") << "overlong";
  EXPECT_EQ(onTerminal("\xed\xa0\x80"), "\\xED\\xA0\\x80") << "a surrogate";
  EXPECT_EQ(onTerminal("\xf4\x90\x80\x80"), "\\xF4\\x90\\x80\\x80") << "too large";
  EXPECT_EQ(onTerminal("\xe3\x83"), "\\xE3\\x83") << "cut off";
  EXPECT_EQ(onTerminal("\xe3\x83x"), "\\xE3\\x83x");
}

TEST(EscapedText, CommentsEndWhereTheyShould) {
  EXPECT_EQ(inComment("x*/ int evil; /*"), "x*\\x2F int evil; /\\x2A");
  EXPECT_EQ(inComment("*/*/"), "*\\x2F\\x2A\\x2F");
  EXPECT_EQ(inComment("what?\?/\n"), "what?\\x3F/\\x0A");
  EXPECT_EQ(inComment("a*b/c"), "a*b/c");
}

TEST(EscapedText, Literals) {
  EXPECT_EQ(inLiteral("a\"b\\\n?\?/é\x01"
                      "7"),
            "a\\042b\\134\\012\\077\\077/\\303\\251\\0017");
}
