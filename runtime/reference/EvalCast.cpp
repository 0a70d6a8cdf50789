//===- EvalCast.cpp - reference kernel of cast ----------------------------===//
//
// A cast goes through the widest type of the source's class, a chunk at a time,
// so that there is one reader and one writer per element type instead of one
// kernel per pair.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/DataMovement.h"

#include <algorithm>
#include <charconv>
#include <cmath>

using namespace quern;
using namespace quern::reference;

/// The work of one element.
static int64_t castWork(DType from, DType to) {
  if (to == DType::String)
    return isFloat(from) ? 1024 : 64;
  return from == DType::String || isMiniFloat(to) ? 64 : 2;
}

//===----------------------------------------------------------------------===//
// Numbers to numbers
//===----------------------------------------------------------------------===//

/// Floats round to nearest even. Floats become integers by truncation that
/// saturates, with 0 for NaN; integers become smaller ones by their low bits.
template <typename To, typename W> static To convert(W value, MiniFloatRules rules) {
  if constexpr (std::is_same_v<To, bool>)
    return value != 0;
  else if constexpr (isMiniFloatType<To>)
    return To(static_cast<double>(value), rules);
  else if constexpr (isSmallIntType<To> && !std::is_same_v<W, double>)
    return To(static_cast<int64_t>(value));
  else if constexpr (std::is_same_v<W, double>)
    return fromDouble<To>(value);
  else if constexpr (std::is_same_v<To, Float16> || std::is_same_v<To, BFloat16>)
    return narrow<To>(static_cast<double>(value));
  else
    return static_cast<To>(value);
}

/// Converts `values` to the elements of `result` from position `first` on.
template <typename W>
static Status writeElements(std::span<const W> values, Tensor &result, int64_t first,
                            MiniFloatRules rules) {
  return visitCastable(result.dtype(), [&]<typename To>() {
    To *out = result.mutableData<To>() + first;
    for (W value : values)
      *out++ = convert<To>(value, rules);
    return Status::ok();
  });
}

static Status castNumbers(const Tensor &input, Tensor &result, Budget &budget,
                          MiniFloatRules rules) {
  return visitCastable(input.dtype(), [&]<typename From>() {
    constexpr int64_t kChunk = 1024;
    std::array<Wide<From>, kChunk> wide;
    for (int64_t first = 0; first < input.numElements(); first += kChunk) {
      int64_t count = std::min(kChunk, input.numElements() - first);
      QUERN_TRY(budget.spend(count * castWork(input.dtype(), result.dtype())));
      for (int64_t i = 0; i < count; ++i)
        wide[i] = widen(input.data<From>()[first + i]);
      QUERN_TRY(
          writeElements(std::span<const Wide<From>>(wide).first(count), result, first, rules));
    }
    return Status::ok();
  });
}

//===----------------------------------------------------------------------===//
// Numbers to strings
//===----------------------------------------------------------------------===//

/// The number with the fewest decimal digits that rounds to `value`.
template <typename T> static double shortestDecimal(T value) {
  double exact = widen(value);
  // 17 significant digits tell all doubles apart.
  for (int digits = 0; digits < 17; ++digits) {
    char text[32];
    auto end = std::to_chars(text, std::end(text), exact, std::chars_format::scientific, digits);
    double decimal = exact;
    std::from_chars(text, end.ptr, decimal);
    if (widen(narrow<T>(decimal)) == exact)
      return decimal;
  }
  return exact;
}

/// As NumPy prints floats: the fewest digits, plain unless very large or small.
static std::string formatFloat(double value) {
  if (std::isnan(value))
    return "NaN";
  if (std::isinf(value))
    return value < 0 ? "-INF" : "INF";
  double magnitude = std::abs(value);
  bool plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  char text[64];
  auto end = std::to_chars(text, std::end(text), value,
                           plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string result(text, end.ptr);
  if (plain && result.find('.') == std::string::npos)
    result += ".0";
  return result;
}

static Status castToStrings(const Tensor &input, Tensor &result, Budget &budget) {
  return visitCastable(input.dtype(), [&]<typename From>() {
    int64_t work = castWork(input.dtype(), result.dtype());
    std::string *out = result.mutableData<std::string>();
    for (From value : input.elementsAs<From>()) {
      QUERN_TRY(budget.spend(work));
      if constexpr (isMiniFloatType<From>) // so few that 192 is better than 200, which it also is
        *out++ = formatFloat(value.value());
      else if constexpr (isFloatType<From>)
        *out++ = formatFloat(shortestDecimal(value));
      else
        *out++ = std::to_string(widen(value));
    }
    return Status::ok();
  });
}

//===----------------------------------------------------------------------===//
// Strings to numbers
//===----------------------------------------------------------------------===//

/// Reads all of `text` as a V; false when it is none.
template <typename V> static bool parseAll(std::string_view text, V &value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// A decimal number, INF or NaN (in any case), with an optional sign. Integers
/// may be written as floats ("100.5" is 100).
template <typename To>
static Expected<To> parseElement(const std::string &text, MiniFloatRules rules) {
  std::string_view digits = text;
  constexpr std::string_view kBlanks = " \t\r\n";
  digits.remove_prefix(std::min(digits.find_first_not_of(kBlanks), digits.size()));
  digits = digits.substr(0, digits.find_last_not_of(kBlanks) + 1);
  if (digits.starts_with('+') && !digits.starts_with("+-"))
    digits.remove_prefix(1);
  Wide<To> value{};
  if (parseAll(digits, value))
    return convert<To>(value, rules);
  double real = 0;
  if (parseAll(digits, real))
    return convert<To>(real, rules);
  return invalidInput("'" + text.substr(0, 40) + "' is not a number or out of range");
}

static Status castFromStrings(const Tensor &input, Tensor &result, Budget &budget,
                              MiniFloatRules rules) {
  return visitCastable(result.dtype(), [&]<typename To>() {
    int64_t work = castWork(input.dtype(), result.dtype());
    To *out = result.mutableData<To>();
    for (const std::string &text : input.elementsAs<std::string>()) {
      QUERN_TRY(budget.spend(work));
      QUERN_ASSIGN(*out++, parseElement<To>(text, rules));
    }
    return Status::ok();
  });
}

Expected<std::vector<Tensor>> reference::evalCast(const OpCall &call) {
  const Tensor &input = call.inputs[0];
  DType to = call.attributes.getDType("to");
  MiniFloatRules rules{call.attributes.getInt("saturate", 1) != 0,
                       call.attributes.getEnum("rounding", CastRounding::Nearest)};
  if (input.dtype() == to)
    return std::vector<Tensor>{input};
  int64_t work = castWork(input.dtype(), to);
  QUERN_TRY(call.budget.require(CheckedSize(input.numElements()) * CheckedSize(work)));
  QUERN_ASSIGN(Tensor result, call.allocateResultUninitialized(0, to, input.dims()));
  if (input.dtype() == DType::String)
    QUERN_TRY(castFromStrings(input, result, call.budget, rules));
  else if (to == DType::String)
    QUERN_TRY(castToStrings(input, result, call.budget));
  else
    QUERN_TRY(castNumbers(input, result, call.budget, rules));
  return std::vector<Tensor>{result};
}
