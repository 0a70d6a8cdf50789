//===- DrawEinsum.cpp - random sums over indices --------------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

/// One to three letters, seldom one of them twice.
static std::string drawTerm(ModelDraw &draw) {
  std::string term;
  for (int64_t rank = draw.between(1, 3); rank > 0; --rank) {
    char letter = draw.pick({'a', 'b', 'c', 'D'});
    if (term.find(letter) == std::string::npos || draw.percent(20))
      term += letter;
  }
  return term;
}

/// The letters that occur once, by the alphabet.
static std::string implicitResult(std::string letters) {
  std::sort(letters.begin(), letters.end());
  std::string once;
  for (char letter : letters)
    if (std::count(letters.begin(), letters.end(), letter) == 1)
      once += letter;
  return once;
}

/// Some of the letters, in any order.
static std::string drawResult(ModelDraw &draw, std::string letters) {
  std::sort(letters.begin(), letters.end());
  letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
  std::string result;
  for (char letter : letters)
    if (draw.percent(60))
      result.insert(static_cast<size_t>(draw.between(0, static_cast<int64_t>(result.size()))), 1,
                    letter);
  return result;
}

static bool drawEinsum(ModelDraw &draw) {
  if (draw.opset() < 12)
    return false;
  std::map<char, int64_t> sizes;
  double all = 1;
  for (char letter : {'a', 'b', 'c', 'D'})
    all *= static_cast<double>(sizes[letter] = draw.percent(20) ? draw.pick<int64_t>({0, 1, 17})
                                                                : draw.between(1, 8));
  if (all > 20000)
    return false;
  DType dtype = draw.percent(80) ? DType::Float32 : DType::Float64;
  std::string equation, letters;
  std::vector<std::string> names;
  double bound = 1, widest = 1;
  for (int64_t i = draw.between(1, 3); i > 0; --i) {
    std::string term = drawTerm(draw);
    Tensor::Dims dims;
    for (char letter : term)
      dims.push_back(sizes[letter]);
    Drawn operand = draw.operand(dtype, dims, 16);
    equation += (names.empty() ? "" : draw.percent(50) ? "," : " , ") + term;
    letters += term;
    names.push_back(operand.name);
    bound *= operand.bound;
    widest *= operand.bound + operand.error;
  }
  std::string result = implicitResult(letters);
  if (draw.percent(75)) {
    result = drawResult(draw, letters);
    equation += "->" + result;
  }
  Tensor::Dims dims;
  double terms = 1;
  for (char letter : result)
    dims.push_back(sizes[letter]);
  for (auto [letter, size] : sizes)
    if (letters.find(letter) != std::string::npos && result.find(letter) == std::string::npos)
      terms *= static_cast<double>(std::max<int64_t>(size, 1));
  Drawn y{draw.fresh(), dtype, dims, terms * bound, terms * (widest - bound)};
  if (y.error > 0)
    y.error += 3 * std::sqrt(terms) * roundingUnit(dtype) * y.bound;
  draw.result("Einsum", names, y).attr("equation", equation.c_str());
  return true;
}

OpFamily random::einsumFamily() { return {3, 1, {drawEinsum}}; }
