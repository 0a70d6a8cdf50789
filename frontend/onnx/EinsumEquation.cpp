//===- EinsumEquation.cpp - the notation of sums over indices -------------===//
#include "frontend/onnx/EinsumEquation.h"

#include <algorithm>
#include <string_view>

using namespace quern::onnx;

/// The indices of a term; nullopt when it is none.
static std::optional<Indices> parseTerm(std::string_view text) {
  Indices indices;
  for (size_t i = 0; i < text.size(); ++i) {
    bool isLetter = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z');
    if (isLetter) {
      indices.push_back(text[i]);
    } else if (text.substr(i, 3) == "..." &&
               std::find(indices.begin(), indices.end(), kEllipsis) == indices.end()) {
      indices.push_back(kEllipsis);
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return indices;
}

std::optional<EinsumEquation> quern::onnx::parseEinsumEquation(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  EinsumEquation equation;
  std::string_view left = text;
  if (size_t arrow = text.find("->"); arrow != std::string::npos) {
    left = left.substr(0, arrow);
    equation.result = parseTerm(std::string_view(text).substr(arrow + 2));
    if (!equation.result)
      return std::nullopt;
  }
  while (true) {
    size_t comma = left.find(',');
    std::optional<Indices> term = parseTerm(left.substr(0, comma));
    if (!term)
      return std::nullopt;
    equation.terms.push_back(*term);
    if (comma == std::string_view::npos)
      return equation;
    left.remove_prefix(comma + 1);
  }
}
