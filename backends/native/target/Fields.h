//===- Fields.h - what shapes a kernel's code, field by field -------------===//
//
// A struct says once what its fields are. The bytes that kernels are known by and the text for
// people follow from that; specs are equal where their bytes are.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/DType.h"
#include "runtime/reference/Enumerations.h"

#include "llvm/ADT/StringRef.h"

#include <bit>
#include <concepts>
#include <fmt/format.h>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

/// The data members of the struct that it stands in, all and in their order: it does not
/// compile otherwise. Their types are numbers, enumerations, strings, optionals and ranges
/// of such, and structs with fields of their own.
#define QUERN_FIELDS(...)                                                                          \
  template <typename Self, typename Visitor>                                                       \
  static void visitFields(Self &self, Visitor &&visitor) {                                         \
    auto &[__VA_ARGS__] = self;                                                                    \
    visitor(#__VA_ARGS__, __VA_ARGS__);                                                            \
  }

namespace quern::native {

template <typename T>
concept HasFields = requires(const T &spec) { T::visitFields(spec, [](const auto &...) {}); };
template <typename T>
concept Optional = std::same_as<T, std::optional<typename T::value_type>>;

/// Appends fields as bytes, which no other fields of the same types have.
class FieldBytes {
public:
  explicit FieldBytes(std::string &out) : out(out) {}

  template <typename... Fields> void operator()(std::string_view, const Fields &...fields) {
    (write(fields), ...);
  }
  template <typename T> void write(const T &field) {
    if constexpr (HasFields<T>) {
      T::visitFields(field, *this);
    } else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
      writeInteger(static_cast<int64_t>(field));
    } else if constexpr (std::is_floating_point_v<T>) {
      auto bits = std::bit_cast<uint64_t>(static_cast<double>(field));
      out.append(reinterpret_cast<const char *>(&bits), sizeof bits);
    } else if constexpr (std::is_convertible_v<T, llvm::StringRef>) {
      writeText(field);
    } else if constexpr (Optional<T>) {
      write(field.has_value());
      if (field)
        write(*field);
    } else {
      writeInteger(static_cast<int64_t>(std::size(field)));
      for (const auto &element : field)
        write(element);
    }
  }

private:
  /// Seven bits to a byte, small numbers of either sign in one.
  void writeInteger(int64_t value) {
    auto bits = static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
    for (; bits >= 0x80; bits >>= 7)
      out += static_cast<char>(bits | 0x80);
    out += static_cast<char>(bits);
  }
  void writeText(llvm::StringRef text) {
    writeInteger(static_cast<int64_t>(text.size()));
    out.append(text.data(), text.size());
  }

  std::string &out;
};

/// Appends fields as text: "(dtype=float32, heights=[6, 4])".
class FieldText {
public:
  explicit FieldText(std::string &out) : out(out) {}

  template <typename... Fields> void operator()(std::string_view names, const Fields &...fields) {
    out += '(';
    (writeNamed(names, fields), ...);
    out += ')';
  }

private:
  template <typename T> void writeNamed(std::string_view &names, const T &field) {
    size_t end = std::min(names.find(','), names.size());
    out.append(names.substr(0, end)).append("=");
    write(field);
    names.remove_prefix(std::min(end + 2, names.size()));
    if (!names.empty())
      out += ", ";
  }
  template <typename T> void write(const T &field) {
    if constexpr (HasFields<T>) {
      T::visitFields(field, *this);
    } else if constexpr (std::same_as<T, bool>) {
      out += field ? "true" : "false";
    } else if constexpr (std::same_as<T, DType>) {
      out += dtypeName(field);
    } else if constexpr (std::is_enum_v<T>) {
      if constexpr (std::size(kEnumNames<T>) > 1)
        out += nameOf(field);
      else
        out += std::to_string(static_cast<int64_t>(field));
    } else if constexpr (std::is_arithmetic_v<T>) {
      out += fmt::format("{}", field);
    } else if constexpr (std::is_convertible_v<T, llvm::StringRef>) {
      out += llvm::StringRef(field);
    } else if constexpr (Optional<T>) {
      field ? write(*field) : void(out += "none");
    } else {
      out += '[';
      const char *comma = "";
      for (const auto &element : field) {
        out += std::exchange(comma, ", ");
        write(element);
      }
      out += ']';
    }
  }

  std::string &out;
};

} // namespace quern::native
