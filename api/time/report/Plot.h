//===- Plot.h - axes, and what is drawn between them ----------------------===//
#pragma once

#include <string>
#include <vector>

namespace quern::timing {

/// An axis between two places of a picture, and the numbers that stand beside it.
class Axis {
public:
  /// From a power of ten to another, with those between.
  static Axis logarithmic(double least, double most, double begin, double end);
  /// From 0, in about five steps of 1, 2 or 5 times a power of ten.
  static Axis linear(double most, double begin, double end);

  /// These numbers at equal distances, whatever lies between them.
  static Axis ordinal(std::vector<double> numbers, double begin, double end);

  /// The place of a number; that of the nearest on the axis for others.
  double at(double value) const;
  double least() const { return ticks.front(); }
  double most() const { return ticks.back(); }
  double end() const { return to; }
  const std::vector<double> &numbers() const { return ticks; }

private:
  enum class Scale { Linear, Logarithmic, Ordinal };
  Axis(Scale scale, double from, double to) : scale(scale), from(from), to(to) {}
  double scaled(double number) const;

  Scale scale;
  double from, to;
  std::vector<double> ticks;
};

/// A picture with two axes.
struct Plot {
  /// With room for numbers at the left and below.
  static constexpr double kWidth = 560, kHeight = 330;
  static constexpr double kLeft = 54, kRight = kWidth - 24, kTop = 12, kBottom = kHeight - 40;

  Axis x, y;
  /// SVG elements.
  std::string body = {};

  void drawAxes(const std::string &xTitle, const std::string &yTitle);
  /// A part of that.
  void drawYAxis(const std::string &title);
  void drawXTitle(const std::string &title);
  /// `label` is for who cannot see it.
  std::string svg(const std::string &label) const;
};

/// The text as it may stand in HTML, between tags and in attributes; what is no UTF-8 is replaced.
std::string htmlText(const std::string &text);

} // namespace quern::timing
