//===- Svg.h - pictures of an analysis ------------------------------------===//
#pragma once

#include "quern/TimeAnalysis.h"

#include <span>
#include <string>
#include <vector>

namespace quern::timing {

/// A dot for each step that computes, by operations per byte and operations a second, under the
/// roofs of memory and of the units it uses. Logarithmic axes.
std::string rooflineSvg(const TimeAnalysis &analysis);

/// Where a run goes: a bar in parts, one for each bound and one for what is outside of steps.
std::string sharesSvg(const TimeAnalysis &analysis);

/// Milliseconds by threads or samples; `divides` when a point is shown by the sample.
std::string curveSvg(const std::vector<CurvePoint> &curve, bool divides);

/// The steps in their order, one below the other, coloured by what holds them up and as strongly as
/// they take time; lines at the left lead from a step to those that take its results. Blocks that
/// follow each other alike are one. Empty for more steps than anybody can look at.
std::string graphSvg(const TimeAnalysis &analysis);

/// What each thread did in one run, a lane for each; empty where nothing was recorded.
std::string timelineSvg(const TimeAnalysis &analysis);

/// The time of a run from the interpreter to all optimisations, a bar for each stage.
std::string waterfallSvg(const StagedComparison &stages);

/// How many of the outputs' numbers are off from the interpreter's by how many units in the last
/// place; empty where none are floats.
std::string errorSvg(std::span<const OutputComparison> outputs);

/// A picture that needs no page around it; none of none.
std::string standalone(const std::string &svg);

/// A bar for a cell of a table.
std::string barSvg(double share, StepBound bound);

} // namespace quern::timing
