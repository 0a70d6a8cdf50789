//===- NamedArguments.h - options by the names of arguments ---------------===//
#pragma once

#include "Errors.h"
#include "quern/ArtifactOptions.h"
#include "quern/CompileOptions.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace quern::python {

/// The keyword arguments of a call, of which each is taken once. TypeErrors, in the words of
/// those that nanobind raises, for types that are not taken and for names that nobody takes.
class NamedArguments {
public:
  NamedArguments(const char *function, nanobind::kwargs given)
      : function(function), named(std::move(given)) {}

  /// None when there is no such argument.
  nanobind::object take(const char *name) {
    return nanobind::steal(PyObject_CallMethod(named.ptr(), "pop", "sO", name, Py_None));
  }
  /// Sets the option where the argument is given.
  template <typename T> void take(const char *name, T &option) {
    if (!named.contains(name))
      return;
    nanobind::object value = take(name);
    if (!convert(value, option))
      refuse(std::string(name) + ": " + typeName(value));
  }
  /// What is given of the options in the rows of a visitor: visitCompileOptions(named.into(...)).
  template <typename Options> auto into(Options &options) {
    return [this, &options](const OptionText &text, auto Options::*member) {
      this->take(text.name, options.*member);
    };
  }
  /// All that there are have been taken.
  void finish() {
    for (auto [name, value] : named)
      refuse(nanobind::cast<std::string>(name) + ": " + typeName(value));
  }

private:
  template <typename T> static bool convert(nanobind::handle value, T &option) {
    return nanobind::try_cast(value, option);
  }
  static bool convert(nanobind::handle value, Backend &option) {
    std::string name;
    if (!nanobind::try_cast(value, name))
      return false;
    if (name != "native" && name != "interpreter")
      raise(usageError("there is no backend '" + name +
                       "'; the backends are native and interpreter"));
    option = name == "native" ? Backend::Native : Backend::Interpreter;
    return true;
  }
  static bool convert(nanobind::handle value, Precision &option) {
    std::string name;
    if (!nanobind::try_cast(value, name))
      return false;
    option = valueOf(parsePrecision(name));
    return true;
  }
  static bool convert(nanobind::handle value, WeightType &option) {
    std::string name;
    if (!nanobind::try_cast(value, name))
      return false;
    option = valueOf(parseWeightType(name));
    return true;
  }
  static bool convert(nanobind::handle value, WinogradUse &option) {
    std::string name;
    if (!nanobind::try_cast(value, name))
      return false;
    option = valueOf(parseWinogradUse(name));
    return true;
  }
  static bool convert(nanobind::handle value, std::optional<double> &option) {
    double number = 0;
    if (value.is_none())
      return true;
    if (!nanobind::try_cast(value, number))
      return false;
    option = number;
    return true;
  }
  static bool convert(nanobind::handle value, std::vector<ListedSize> &option) {
    std::vector<std::pair<std::string, std::vector<int64_t>>> sizes;
    if (!nanobind::try_cast(value, sizes))
      return false;
    option.clear();
    for (auto &[name, listed] : sizes)
      option.push_back({std::move(name), std::move(listed)});
    return true;
  }
  [[noreturn]] void refuse(const std::string &argument) const {
    throw nanobind::type_error(
        (std::string(function) +
         "(): incompatible function arguments. Invoked with types: " + argument)
            .c_str());
  }

  const char *function;
  nanobind::kwargs named;
};

/// Such arguments in the signature of a function, for stubs: "backend: str = ..., ".
class NamedSignature {
public:
  void operator()(const OptionText &text, auto member) {
    words += std::string(text.name) + ": " + typeOf(member) + " = ..., ";
  }
  const std::string &str() const { return words; }

private:
  template <typename Options> static const char *typeOf(bool Options::*) { return "bool"; }
  template <typename Options, std::integral T> static const char *typeOf(T Options::*) {
    return "int";
  }
  template <typename Options> static const char *typeOf(double Options::*) { return "float"; }
  template <typename Options> static const char *typeOf(std::string Options::*) { return "str"; }
  template <typename Options> static const char *typeOf(Backend Options::*) { return "str"; }
  template <typename Options> static const char *typeOf(Precision Options::*) { return "str"; }
  template <typename Options> static const char *typeOf(WeightType Options::*) { return "str"; }
  template <typename Options> static const char *typeOf(WinogradUse Options::*) { return "str"; }
  template <typename Options> static const char *typeOf(std::optional<double> Options::*) {
    return "float | None";
  }
  template <typename Options> static const char *typeOf(std::vector<std::string> Options::*) {
    return "list[str]";
  }
  template <typename Options> static const char *typeOf(std::vector<ListedSize> Options::*) {
    return "list[tuple[str, list[int]]]";
  }
  std::string words;
};

} // namespace quern::python
