//===- EscapedText.h - names of models, where they do no harm -------------===//
#pragma once

#include <string>
#include <string_view>

namespace quern {

/// Where a text goes that a model brings: any byte may be in it.
enum class TextPlace {
  /// A terminal, among other lines: control characters, but for line ends and tabs, and what
  /// turns the direction of writing become "\x1B" or "\u202E"; bytes that are no UTF-8, too.
  Terminal,
  /// The same as one line, for a cell of a table or a C comment that nothing in it may end.
  Line,
  CComment,
  /// Between the quotes of a C string literal, in ASCII.
  CString
};

/// The text as it may stand there. What needs no escape stays as it is.
std::string escapeText(std::string_view text, TextPlace place);

} // namespace quern
