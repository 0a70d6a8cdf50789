//===- OptionText.h - how people say an option ----------------------------===//
#pragma once

#include <cstdint>
#include <limits>

namespace quern {

/// Where an option means something.
enum class OptionUse {
  Everywhere,
  /// Where there is a choice of what runs a model.
  Backends,
  /// For what is compiled ahead of time.
  Artifacts,
};

/// The words for an option of a struct. The command line and Python are made of rows with
/// these, so that an option is added to both where its struct declares it.
struct OptionText {
  static constexpr int64_t kAny = std::numeric_limits<int64_t>::max();

  /// Of the argument in Python: "target_cpu".
  const char *name;
  /// On the command line: "--target-cpu"; that of a truth value makes it the contrary of its
  /// default. Empty: the program sets it in another way.
  const char *flag;
  /// What stands for its value there: "CPU".
  const char *value;
  const char *description;
  OptionUse use = OptionUse::Everywhere;
  /// The numbers that the command line takes.
  int64_t least = 0, most = kAny;
};

} // namespace quern
