//===- AttributesTest.cpp - what kernels read of their ops ----------------===//
#include "runtime/reference/Evaluator.h"

#include <gtest/gtest.h>

using quern::reference::Attributes;

static std::vector<std::string> misread;

namespace {
class AttributesTest : public testing::Test {
protected:
  AttributesTest() {
    misread.clear();
    Attributes::onMisread = [](std::string_view name) { misread.emplace_back(name); };
    attributes.set("axis", int64_t{1});
  }
  ~AttributesTest() override { Attributes::onMisread = nullptr; }

  Attributes attributes;
};
} // namespace

TEST_F(AttributesTest, TellsOfReadsThatNoAttributeAnswers) {
  attributes.complete({"epsilon"});
  EXPECT_EQ(attributes.getInt("axis"), 1);
  EXPECT_EQ(attributes.getFloat("epsilon", 0.5), 0.5);
  EXPECT_FALSE(attributes.has("epsilon"));
  EXPECT_EQ(misread, std::vector<std::string>());
  EXPECT_EQ(attributes.getInt("axes", 7), 7);
  EXPECT_EQ(attributes.getFloat("axis", 0.5), 0.5);
  EXPECT_FALSE(attributes.has("Axis"));
  EXPECT_EQ(misread, (std::vector<std::string>{"axes", "axis", "Axis"}));
}

TEST_F(AttributesTest, AreIncompleteUnlessAnOpGivesThem) {
  EXPECT_EQ(attributes.getInt("axes", 7), 7);
  EXPECT_EQ(misread, std::vector<std::string>());
}
