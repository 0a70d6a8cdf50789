//===- EinsumEquation.h - the notation of sums over indices ---------------===//
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace quern::onnx {

/// An index: a letter, or below 0 a dimension of the ellipsis, of which -1 is the last.
using Index = int;
using Indices = std::vector<Index>;
/// In a term, before ranks tell what it stands for.
inline constexpr Index kEllipsis = 0;

/// "bij,bjk->bik".
struct EinsumEquation {
  std::vector<Indices> terms;
  /// Without it, see the specification of Einsum.
  std::optional<Indices> result;
};

/// nullopt when it is none.
std::optional<EinsumEquation> parseEinsumEquation(std::string text);

} // namespace quern::onnx
