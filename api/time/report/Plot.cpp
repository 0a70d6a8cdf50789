//===- Plot.cpp - axes, and what is drawn between them --------------------===//
#include "api/time/report/Plot.h"

#include "llvm/Support/JSON.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

using namespace quern::timing;

std::string quern::timing::htmlText(const std::string &text) {
  std::string result;
  for (char c : llvm::json::fixUTF8(text))
    switch (c) {
    case '&':
      result += "&amp;";
      break;
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '"':
      result += "&quot;";
      break;
    case '\'':
      result += "&#39;";
      break;
    default:
      // Control characters are none of HTML's.
      result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  return result;
}

Axis Axis::logarithmic(double least, double most, double begin, double end) {
  Axis axis(Scale::Logarithmic, begin, end);
  double low = std::floor(std::log10(least));
  double high = std::max(std::ceil(std::log10(most)), low + 1);
  for (double exponent = low; exponent <= high; ++exponent)
    axis.ticks.push_back(std::pow(10, exponent));
  return axis;
}

Axis Axis::linear(double most, double begin, double end) {
  Axis axis(Scale::Linear, begin, end);
  double power = std::pow(10, std::floor(std::log10(most))), step = power;
  for (double part : {0.1, 0.2, 0.5, 1.0, 2.0})
    if (most / (step = part * power) <= 6)
      break;
  double last = std::ceil(most / step - 1e-9);
  for (double tick = 0; tick <= last; ++tick)
    axis.ticks.push_back(tick * step);
  return axis;
}

Axis Axis::ordinal(std::vector<double> numbers, double begin, double end) {
  Axis axis(Scale::Ordinal, begin, end);
  axis.ticks = std::move(numbers);
  return axis;
}

double Axis::scaled(double number) const {
  if (scale == Scale::Ordinal)
    return static_cast<double>(std::ranges::lower_bound(ticks, number) - ticks.begin());
  return scale == Scale::Logarithmic ? std::log10(number) : number;
}

double Axis::at(double value) const {
  double part = (scaled(value) - scaled(least())) / (scaled(most()) - scaled(least()));
  return from + std::clamp(part, 0.0, 1.0) * (to - from);
}

void Plot::drawAxes(const std::string &xTitle, const std::string &yTitle) {
  for (double tick : x.numbers())
    body += fmt::format("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
                        "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4:g}</text>",
                        x.at(tick), kTop, kBottom, kBottom + 16, tick);
  drawYAxis(yTitle);
  drawXTitle(xTitle);
}

void Plot::drawYAxis(const std::string &title) {
  for (double tick : y.numbers())
    body += fmt::format("<line class=\"axis\" x1=\"{1}\" x2=\"{2}\" y1=\"{0:.1f}\" y2=\"{0:.1f}\"/>"
                        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:g}</text>",
                        y.at(tick), kLeft, kRight, kLeft - 6, y.at(tick) + 4, tick);
  body += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>", kLeft + 4, kTop + 12, title);
}

void Plot::drawXTitle(const std::string &title) {
  body += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                      (kLeft + kRight) / 2, kHeight - 6, title);
}

std::string Plot::svg(const std::string &label) const {
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">{}</svg>", kWidth,
                     kHeight, htmlText(label), body);
}
