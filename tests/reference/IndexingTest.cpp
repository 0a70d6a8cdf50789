//===- IndexingTest.cpp - axes, strides, walks, conversions ---------------===//
#include "runtime/reference/Indexing.h"
#include "runtime/reference/DTypeDispatch.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace quern;
using namespace quern::reference;

using Ints = std::vector<int64_t>;

TEST(Indexing, ResolvesNegativeAxes) {
  EXPECT_EQ(*resolveAxis(-1, 3), 2);
  EXPECT_EQ(*resolveAxis(-3, 3), 0);
  EXPECT_EQ(resolveAxis(3, 3).status().message(), "axis 3 is out of range for rank 3");
  EXPECT_FALSE(resolveAxis(0, 0));
  EXPECT_FALSE(resolveAxis(INT64_MIN, 3));
  EXPECT_EQ(resolveAxes(Ints{1, -1}, 2).status().message(), "axis -1 is given twice");
}

TEST(Indexing, BroadcastsShapes) {
  EXPECT_EQ(*broadcastDims(Ints{2, 1}, Ints{3}), (Ints{2, 3}));
  EXPECT_EQ(*broadcastDims(Ints{}, Ints{0}), (Ints{0}));
  EXPECT_EQ(*broadcastDims(Ints{1}, Ints{0}), (Ints{0}));
  EXPECT_FALSE(broadcastDims(Ints{2}, Ints{0}));
  EXPECT_EQ(broadcastStrides(Ints{3, 1, 2}, Ints{4, 3, 5, 2}), (Ints{0, 2, 0, 1}));
}

TEST(Indexing, WalksInRowMajorOrder) {
  Ints offsets;
  for (IndexWalk walk({2, 3}, {1, 10}); !walk.done(); walk.next())
    offsets.push_back(walk.offset());
  EXPECT_EQ(offsets, (Ints{0, 10, 20, 1, 11, 21}));
  EXPECT_TRUE(IndexWalk({2, 0}, {1, 1}).done());
  IndexWalk scalar({}, {});
  EXPECT_FALSE(scalar.done());
  scalar.next();
  EXPECT_TRUE(scalar.done());
  scalar.restart();
  EXPECT_FALSE(scalar.done());
}

TEST(Indexing, ReadsIntegerVectors) {
  EXPECT_EQ(*readInts(Tensor::of<int32_t>({2}, {1, -2}), "axes"), (Ints{1, -2}));
  EXPECT_EQ(*readInts(Tensor::of<int64_t>({}, {7}), "axes"), (Ints{7}));
  EXPECT_EQ(readInts(Tensor::of<float>({1}, {1}), "axes").status().message(),
            "axes must be an int32 or int64 vector, found float32 1");
}

TEST(Conversion, SaturatesAndTruncates) {
  EXPECT_EQ(fromDouble<int8_t>(-1.9), -1);
  EXPECT_EQ(fromDouble<int8_t>(300), 127);
  EXPECT_EQ(fromDouble<uint8_t>(-1), 0);
  EXPECT_EQ(fromDouble<int64_t>(0x1p63), INT64_MAX);
  EXPECT_EQ(fromDouble<int64_t>(-INFINITY), INT64_MIN);
  EXPECT_EQ(fromDouble<uint64_t>(0x1p64), UINT64_MAX);
  EXPECT_EQ(fromDouble<int32_t>(NAN), 0);
  EXPECT_TRUE(fromDouble<bool>(NAN));
}
