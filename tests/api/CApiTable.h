//===- CApiTable.h - every function of quern.h, called wrongly ------------===//
#pragma once

#include "quern.h"

#include <span>
#include <string>
#include <vector>

namespace quern::test {

/// One object of each kind, which may be wrong.
struct CObjects {
  quern_model *model = nullptr;
  quern_executable *executable = nullptr;
  quern_session *session = nullptr;
  quern_value *value = nullptr; // float32 1x1x8x8
  quern_text *text = nullptr;
};

/// Where functions put their results: nothing must be there after an error.
struct CResults {
  size_t a = 0, b = 0;
  int32_t number = 0;
  double gflops = 0;
  const char *chars = nullptr;
  quern_port port{};
  quern_tensor_view view{};
  quern_comparison comparison{};
  quern_output_difference difference{};
  quern_measurement measurement{};
  quern_model *model = nullptr;
  quern_executable *executable = nullptr;
  quern_session *session = nullptr;
  quern_value *value = nullptr;
  quern_text *text = nullptr;
};

using CCall = quern_status (*)(const CObjects &, CResults &);

/// A call with one argument that makes no sense: its message has this part.
struct CMistake {
  const char *says;
  CCall call;
};

struct CFunction {
  const char *name;
  /// Takes the objects that `kinds` names, and the rest as it should be.
  CCall call;
  /// "model", "executable", "session", "value", "text", with blanks between; "value?"
  /// where none is as good as one.
  const char *kinds;
  std::vector<CMistake> mistakes;
};

/// Those that return a status, in the order of quern.h.
std::span<const CFunction> cFunctions();

/// Those that return none: they take anything.
struct CPlainFunction {
  const char *name;
  void (*call)(const CObjects &);
};
std::span<const CPlainFunction> cPlainFunctions();

} // namespace quern::test
