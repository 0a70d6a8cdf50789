//===- ConvTapsTest.cpp - which taps of a filter lie on the image ---------===//
#include "backends/native/lowering/ConvTaps.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace quern::native;

namespace {
/// Whether tap `k` of result `x` lies on the image.
bool isOnImage(const ConvAxis &axis, int64_t x, int64_t k) {
  int64_t place = x * axis.stride - axis.padBegin + k * axis.dilation;
  return place >= 0 && place < axis.input;
}

/// Compares with what is found tap by tap.
void expectTaps(const ConvAxis &axis) {
  SCOPED_TRACE(fmt::format("input {} output {} kernel {} stride {} dilation {} pad {}", axis.input,
                           axis.output, axis.kernel, axis.stride, axis.dilation, axis.padBegin));
  int64_t first = axis.kernel, last = -1, meetings = 0;
  for (int64_t x = 0; x < axis.output; ++x)
    for (int64_t k = 0; k < axis.kernel; ++k)
      if (isOnImage(axis, x, k)) {
        first = std::min(first, k);
        last = std::max(last, k);
        ++meetings;
      }
  TapRange reached = reachedTaps(axis);
  EXPECT_EQ(reached.count, std::max<int64_t>(last - first + 1, 0));
  if (reached.count > 0) {
    EXPECT_EQ(reached.first, first);
  }
  EXPECT_EQ(countMeetings(axis), meetings);

  int64_t next = 0;
  for (const TapSegment &segment : segmentsOf(axis)) {
    EXPECT_EQ(segment.first, next);
    EXPECT_GT(segment.results, 0);
    next += segment.results;
    for (int64_t x = segment.first; x < next; ++x)
      for (int64_t k = 0; k < axis.kernel; ++k) {
        bool isTap = k >= segment.taps.first && k < segment.taps.first + segment.taps.count;
        EXPECT_EQ(isTap, isOnImage(axis, x, k)) << "result " << x << " tap " << k;
      }
  }
  EXPECT_EQ(next, axis.output);
}
} // namespace

TEST(ConvTapsTest, OfAllGeometries) {
  for (int64_t input : {1, 2, 5, 14})
    for (int64_t kernel : {1, 2, 3, 5})
      for (int64_t stride : {1, 2, 3})
        for (int64_t dilation : {1, 2, 7, 30})
          for (int64_t padBegin : {0, 1, 7, 30})
            for (int64_t padEnd : {0, 2, 30}) {
              int64_t room = input + padBegin + padEnd - (kernel - 1) * dilation - 1;
              if (room >= 0)
                expectTaps({input, room / stride + 1, kernel, stride, dilation, padBegin});
            }
}

TEST(ConvTapsTest, Segments) {
  auto segments = segmentsOf({14, 14, 3, 1, 12, 12});
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_EQ(segments[1].first, 2);
  EXPECT_EQ(segments[1].results, 10);
  EXPECT_EQ(segments[1].taps.first, 1);
  EXPECT_EQ(segments[1].taps.count, 1);
  EXPECT_EQ(segmentsOf({14, 14, 3, 1, 36, 36}).size(), 1u);
  EXPECT_EQ(reachedTaps({1, 1, 2, 1, 100, 50}).count, 0) << "no tap lies on the image";
}
