//===- ErrorSvg.cpp - how far results are off, drawn ----------------------===//
#include "api/time/report/Plot.h"
#include "api/time/report/Svg.h"
#include "quern/Reports.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

using namespace quern;
using namespace quern::timing;

/// Elements of all outputs by units in the last place: TensorDifference::ulps, added up.
static std::vector<int64_t> countsOf(std::span<const OutputComparison> outputs) {
  std::vector<int64_t> counts;
  for (const OutputComparison &output : outputs) {
    const std::vector<int64_t> &ulps = output.difference.ulps;
    counts.resize(std::max(counts.size(), ulps.size()));
    for (size_t i = 0; i < ulps.size(); ++i)
      counts[i] += ulps[i];
  }
  return counts;
}

/// "0", "1", "2 to 3", "4 to 7".
static std::string rangeOf(size_t place) {
  if (place < 2)
    return std::to_string(place);
  auto least = static_cast<double>(uint64_t{1} << (place - 1));
  return fmt::format("{:.0f} to {:.0f}", least, 2 * least - 1);
}

/// The least of a range, in few letters.
static std::string leastOf(size_t place) {
  constexpr size_t kMostDigits = 11; // below 1024
  return place == 0            ? "0"
         : place > kMostDigits ? fmt::format("2^{}", place - 1)
                               : std::to_string(uint64_t{1} << (place - 1));
}

/// Every so many bars one has its number below.
static size_t stepOfNumbers(size_t bars) {
  constexpr size_t kMostNumbers = 14;
  return (bars + kMostNumbers - 1) / kMostNumbers;
}

std::string timing::errorSvg(std::span<const OutputComparison> outputs) {
  std::vector<int64_t> counts = countsOf(outputs);
  auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  if (all == 0)
    return "";
  auto share = [&](size_t place) { return 100 * static_cast<double>(counts[place]) / all; };
  double most = 0;
  for (size_t place = 0; place < counts.size(); ++place)
    most = std::max(most, share(place));
  Plot plot{Axis::ordinal({0, 1}, Plot::kLeft, Plot::kRight),
            Axis::linear(1.1 * most, Plot::kBottom, Plot::kTop)};
  plot.drawYAxis("% of the numbers");
  double width = (Plot::kRight - Plot::kLeft) / static_cast<double>(counts.size());
  for (size_t place = 0; place < counts.size(); ++place) {
    double left = Plot::kLeft + width * static_cast<double>(place), middle = left + width / 2;
    if (counts[place] > 0) {
      // A few among millions are seen, too.
      double top = std::min(plot.y.at(share(place)), Plot::kBottom - 2);
      plot.body += fmt::format(
          "<rect class=\"compute\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\">"
          "<title>off by {}: {} numbers, {:.3g} %</title></rect>",
          left + 0.1 * width, top, 0.8 * width, Plot::kBottom - top, rangeOf(place), counts[place],
          share(place));
    }
    if (place % stepOfNumbers(counts.size()) == 0)
      plot.body += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                               middle, Plot::kBottom + 16, leastOf(place));
  }
  plot.drawXTitle("units in the last place");
  return plot.svg(fmt::format("Errors of {:.0f} numbers against the interpreter: {:.3g} % have the "
                              "same bits, all are off by less than {} units in the last place",
                              all, share(0), leastOf(counts.size())));
}

std::string quern::errorPicture(std::span<const OutputComparison> outputs) {
  return timing::standalone(timing::errorSvg(outputs));
}
