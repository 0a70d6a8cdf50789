//===- StatusTest.cpp - errors without exceptions -------------------------===//
#include "quern/Status.h"

#include <gtest/gtest.h>
#include <string>

using namespace quern;

TEST(ExpectedTest, GivesItsValue) {
  Expected<std::string> text = std::string("here");
  ASSERT_TRUE(text.isOk());
  EXPECT_EQ(*text, "here");
  EXPECT_EQ(text->size(), 4u);
  EXPECT_EQ(std::as_const(text).value(), "here");
  EXPECT_EQ(text.take(), "here");
}

// Users forget the check; what they see then must not be a segmentation fault.
TEST(ExpectedDeathTest, TheValueOfAnErrorEndsTheProcessWithItsMessage) {
  Expected<std::string> missing = ioError("m.onnx: no such file");
  const char *message = "quern: unchecked error: m.onnx: no such file";
  EXPECT_DEATH((void)*missing, message);
  EXPECT_DEATH((void)missing->size(), message);
  EXPECT_DEATH((void)missing.value(), message);
  EXPECT_DEATH((void)std::as_const(missing)->size(), message);
  EXPECT_DEATH((void)missing.take(), message);
}
