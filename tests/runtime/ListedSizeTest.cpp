//===- ListedSizeTest.cpp -------------------------------------------------===//
#include "quern/ListedSize.h"

#include <gmock/gmock.h>

using namespace quern;
using testing::ElementsAre;
using testing::HasSubstr;

static std::vector<int64_t> sizesOf(const std::string &text) {
  auto list = parseListedSize(text);
  EXPECT_TRUE(list) << list.status().message();
  return list ? list->sizes : std::vector<int64_t>();
}

TEST(ListedSize, ReadsListsAndRanges) {
  EXPECT_THAT(sizesOf("N=1"), ElementsAre(1));
  EXPECT_THAT(sizesOf("N=1,8,32"), ElementsAre(1, 8, 32));
  EXPECT_THAT(sizesOf("seq=16..64:16"), ElementsAre(16, 32, 48, 64));
  EXPECT_THAT(sizesOf("seq=16..63:16"), ElementsAre(16, 32, 48));
  EXPECT_THAT(sizesOf("seq=3..5"), ElementsAre(3, 4, 5));
  EXPECT_THAT(sizesOf("seq=5..5:7"), ElementsAre(5));
  EXPECT_THAT(sizesOf("seq=0..4:2,1"), ElementsAre(0, 1, 2, 4));
}

TEST(ListedSize, SortsAndDropsWhatIsThere) {
  EXPECT_THAT(sizesOf("N=8,1,8,4..8:2"), ElementsAre(1, 4, 6, 8));
}

TEST(ListedSize, NamesMayContainAnything) {
  auto list = parseListedSize("a = b.c=2,3");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->name, "a = b.c");
}

TEST(ListedSize, RefusesOtherTexts) {
  for (const char *text : {"",
                           "N",
                           "=1",
                           "N=",
                           "N=,1",
                           "N=1,",
                           "N=-1",
                           "N=1..",
                           "N=..4",
                           "N=4..1",
                           "N=1..9:",
                           "N=1..9:0",
                           "N=1..9:-1",
                           "N=1:2",
                           "N=1 ,2",
                           "N=x",
                           "N=1..2..3",
                           "N=99999999999999999999",
                           "N=0..9223372036854775807",
                           "N=1..4097",
                           "N=1..4096,5000"}) {
    auto list = parseListedSize(text);
    ASSERT_FALSE(list) << text;
    EXPECT_EQ(list.status().code(), StatusCode::Usage);
    EXPECT_THAT(list.status().message(),
                HasSubstr("'" + std::string(text) + "': wanted NAME=SIZES, as in"));
  }
  EXPECT_EQ(sizesOf("N=1..4096").size(), 4096u);
  EXPECT_THAT(sizesOf("N=9223372036854775806..9223372036854775807"),
              ElementsAre(INT64_MAX - 1, INT64_MAX));
}

TEST(ListedSize, TheLastOneVariesFastest) {
  auto all = combineSizes(std::vector<ListedSize>{{"N", {1, 2}}, {"M", {3, 4}}});
  ASSERT_TRUE(all);
  EXPECT_THAT(*all, ElementsAre(ElementsAre(1, 3), ElementsAre(1, 4), ElementsAre(2, 3),
                                ElementsAre(2, 4)));
  EXPECT_THAT(*combineSizes({}), ElementsAre(ElementsAre()));
}

TEST(ListedSize, CombinationsAreBounded) {
  std::vector<int64_t> sizes(65);
  std::vector<ListedSize> lists(10, {"N", sizes});
  EXPECT_EQ(combineSizes(std::span(lists).first(2)).status().code(), StatusCode::Usage);
  EXPECT_EQ(combineSizes(lists).status().message(),
            "the listed sizes combine to more than 4096 sets of sizes, each of which needs a plan "
            "of its own");
}

TEST(ListedSize, NamesTheNearest) {
  std::vector<ListedSize> lists = {{"N", {1, 8}}, {"seq", {16, 32, 64}}};
  auto say = [&](std::vector<int64_t> sizes) { return checkListed(lists, sizes).message(); };
  EXPECT_EQ(say({8, 64}), "");
  EXPECT_EQ(say({8, 20}),
            "there is no code for seq=20: the nearest sizes compiled for are 16 and 32");
  EXPECT_EQ(say({0, 99}), "there is no code for N=0: the nearest size compiled for is 1; there is "
                          "no code for seq=99: the nearest size compiled for is 64");
  EXPECT_EQ(checkListed(lists, std::vector<int64_t>{2, 16}).code(), StatusCode::InvalidInput);
}
