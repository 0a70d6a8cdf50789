//===- Reason.h - why something was not done ------------------------------===//
//
// What compiling decides against is no error: the model runs all the same, only
// otherwise. Where Status says why something failed, a Reason says why it was not
// tried: not fused, not native, not in place, not in code ahead of time.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cassert>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace quern {

/// The kinds of reasons.
enum class ReasonCode {
  NoKernel,      ///< there is no native code for ops like it
  ElementType,   ///< none for elements of this type
  Shape,         ///< none for these sizes or ranks: an empty operand, a window that does not fit
  Attributes,    ///< none for what the op's attributes ask for
  Broadcast,     ///< an operand is broadcast in a way that is not provided for
  Layout,        ///< elements do not lie in memory as they would have to
  NotConstant,   ///< an operand would have to be a constant
  UnknownSize,   ///< a size is not known yet; it may be done once it is
  DataDependent, ///< it depends on elements that only a run computes
  SeveralUses,   ///< a value is used elsewhere, or several values are
  Form,          ///< the ops around are not what they would have to be
  Order,         ///< a value is made too late
  Rounding,      ///< the result would be rounded otherwise
  Generator,     ///< random numbers come in the order of the run
  Limit,         ///< it is beyond a bound on size, work or memory
  Missing,       ///< something that it takes is not at hand
};

/// "no-kernel", "element-type", ...
std::string_view reasonCodeName(ReasonCode code);

/// Why something was not done.
struct Reason {
  ReasonCode code;
  /// "softmax of integers": for people, without the nodes.
  std::string text;
  /// The names of the model's nodes that it is about, where it does not stand beside them.
  std::vector<std::string> nodes = {};

  bool operator==(const Reason &) const = default;
};

/// A value, or why there is none: a Reason, or what tells more.
template <typename T, typename Why = Reason> class [[nodiscard]] ReasonOr {
public:
  ReasonOr(T value) : held(std::in_place_index<0>, std::move(value)) {}
  template <std::convertible_to<Why> R>
  ReasonOr(R why) : held(std::in_place_index<1>, std::move(why)) {}

  bool has() const { return held.index() == 0; }
  explicit operator bool() const { return has(); }
  T &operator*() { return assert(has()), *std::get_if<0>(&held); }
  const T &operator*() const { return assert(has()), *std::get_if<0>(&held); }
  T *operator->() { return &**this; }
  const T *operator->() const { return &**this; }
  T take() { return std::move(**this); }
  /// Where there is no value.
  const Why &reason() const { return assert(!has()), *std::get_if<1>(&held); }

private:
  std::variant<T, Why> held;
};

} // namespace quern
