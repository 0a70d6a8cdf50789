//===- Status.h - errors without exceptions -------------------------------===//
//
// Every fallible function of the runtime and the frontend returns Status or
// Expected<T>. The code doubles as the exit code of the command-line tool.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace quern {

/// What went wrong; the values are the process exit codes of `quern`.
enum class StatusCode : int {
  Ok = 0,
  Internal = 1,
  Usage = 2,
  InvalidModel = 3,
  Unsupported = 4,
  AccuracyMismatch = 5,
  TooSlow = 6,
  Incompatible = 7,
  InvalidInput = 8,
  ResourceLimit = 9,
  Io = 10,
  Cancelled = 130, ///< stopped on request; as a shell reports Ctrl-C
};

/// Success, or a code with a message that names what and where.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : statusCode(code), statusMessage(std::move(message)) {}

  static Status ok() { return {}; }
  bool isOk() const { return statusCode == StatusCode::Ok; }
  StatusCode code() const { return statusCode; }
  const std::string &message() const { return statusMessage; }

  /// Ends the process with the message, for who takes the value that an error has not.
  [[noreturn]] __attribute__((cold, noinline)) void abortProcess() const {
    std::fprintf(stderr, "quern: unchecked error: %s\n", statusMessage.c_str());
    std::abort();
  }

  /// The same error with `context + ": "` put before the message.
  Status withContext(const std::string &context) const {
    return isOk() ? *this : Status(statusCode, context + ": " + statusMessage);
  }

private:
  StatusCode statusCode = StatusCode::Ok;
  std::string statusMessage;
};

inline Status internalError(std::string m) { return {StatusCode::Internal, std::move(m)}; }
inline Status invalidModel(std::string m) { return {StatusCode::InvalidModel, std::move(m)}; }
inline Status unsupported(std::string m) { return {StatusCode::Unsupported, std::move(m)}; }
inline Status invalidInput(std::string m) { return {StatusCode::InvalidInput, std::move(m)}; }
inline Status resourceLimit(std::string m) { return {StatusCode::ResourceLimit, std::move(m)}; }
inline Status usageError(std::string m) { return {StatusCode::Usage, std::move(m)}; }
inline Status ioError(std::string m) { return {StatusCode::Io, std::move(m)}; }

/// A value, or the Status that says why there is none. Taking the value of an error ends the
/// process with the error's message.
template <typename T> class [[nodiscard]] Expected {
public:
  Expected(T v) : stored(std::move(v)) {}
  Expected(Status s) : error(std::move(s)) { assert(!error.isOk() && "an error needs a code"); }

  explicit operator bool() const { return stored.has_value(); }
  bool isOk() const { return stored.has_value(); }
  const Status &status() const { return error; }
  T &value() { return checked(), *stored; }
  const T &value() const { return checked(), *stored; }
  T &operator*() { return value(); }
  const T &operator*() const { return value(); }
  T *operator->() { return &value(); }
  const T *operator->() const { return &value(); }
  T take() { return std::move(value()); }

private:
  void checked() const {
    if (!stored)
      error.abortProcess();
  }

  std::optional<T> stored;
  Status error;
};

#define QUERN_CONCAT_INNER(a, b) a##b
#define QUERN_CONCAT(a, b) QUERN_CONCAT_INNER(a, b)

/// Returns from the enclosing function when `expr` (a Status) is an error.
#define QUERN_TRY(expr)                                                                            \
  do {                                                                                             \
    if (::quern::Status quernStatus = (expr); !quernStatus.isOk())                                 \
      return quernStatus;                                                                          \
  } while (false)

/// `QUERN_ASSIGN(auto x, f());` unwraps an Expected or returns its error.
#define QUERN_ASSIGN(declaration, expr)                                                            \
  auto QUERN_CONCAT(quernExpected, __LINE__) = (expr);                                             \
  if (!QUERN_CONCAT(quernExpected, __LINE__))                                                      \
    return QUERN_CONCAT(quernExpected, __LINE__).status();                                         \
  declaration = QUERN_CONCAT(quernExpected, __LINE__).take()

} // namespace quern
