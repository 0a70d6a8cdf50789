//===- Boxed.h - values held elsewhere ------------------------------------===//
#pragma once

#include <memory>
#include <string>

namespace quern {

/// A T with the size of a pointer: for what is rare among what is small. Copies are
/// deep; a moved-from box may only be destroyed or assigned to.
template <typename T> class Boxed {
public:
  Boxed(T value) : held(std::make_unique<T>(std::move(value))) {}
  Boxed(const Boxed &other) : held(std::make_unique<T>(*other.held)) {}
  Boxed(Boxed &&) noexcept = default;
  Boxed &operator=(const Boxed &other) {
    held = std::make_unique<T>(*other.held);
    return *this;
  }
  Boxed &operator=(Boxed &&) noexcept = default;
  ~Boxed() = default;

  T &operator*() { return *held; }
  const T &operator*() const { return *held; }

private:
  std::unique_ptr<T> held;
};

/// What is in the box, for whoever handles both.
template <typename T> T &unboxed(Boxed<T> &held) { return *held; }
template <typename T> const T &unboxed(const Boxed<T> &held) { return *held; }
template <typename T> T &unboxed(T &held) { return held; }

/// A text that all copies share. Immutable.
class SharedText {
public:
  SharedText() = default;
  SharedText(std::string text) : text(std::make_shared<const std::string>(std::move(text))) {}
  SharedText(const char *text) : SharedText(std::string(text)) {}

  const std::string &str() const { return text ? *text : kEmpty; }
  operator const std::string &() const { return str(); }

private:
  static inline const std::string kEmpty;
  /// Null for the empty text.
  std::shared_ptr<const std::string> text;
};

} // namespace quern
