//===- Csv.h - tables as text ---------------------------------------------===//
//
// RFC 4180, of any bytes: fields that are separated by commas (or another character), quoted
// where they hold separators, quotes or line ends. Debian's libcsv does not tell lines and takes
// what is malformed, so these are our own.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tools/quern/FileIo.h"

#include <string>
#include <string_view>
#include <vector>

namespace quern::cli {

/// Reads a table record by record. Tables are untrusted.
class CsvReader {
public:
  /// Reads the first record, the names of the columns.
  static Expected<CsvReader> open(const std::string &path, char separator);

  const std::vector<std::string> &header() const { return names; }
  /// Whether lines end with a carriage return, too.
  bool hasCarriageReturns() const { return carriageReturns; }

  /// The next record, with as many fields as there are columns; false at the end. Empty lines are
  /// left out, unless there is but one column. InvalidInput, with file and line, for what is no
  /// table; ResourceLimit for a record of more than 64 MiB.
  Expected<bool> next(std::vector<std::string> &fields);
  /// The line in which the last record begins, from 1.
  int64_t line() const { return recordLine; }
  /// "table.csv:3".
  std::string place() const;

private:
  CsvReader(std::string path, InputFile input, char separator)
      : path(std::move(path)), input(std::move(input)), separator(separator) {}
  /// A byte, or -1 at the end.
  int take();
  int peek();
  bool refill();
  Expected<bool> readRecord(std::vector<std::string> &fields);
  Status readPlain(std::string &field, size_t number, size_t &left);
  Status readQuoted(std::string &field, size_t number, size_t &left);
  /// Whether a line ends at the next byte, which is not taken.
  bool isAtLineEnd();
  void takeLineEnd();
  Status fail(const std::string &message) const;

  std::string path;
  InputFile input;
  char separator;
  std::vector<std::string> names;
  std::string buffer;
  size_t at = 0;
  int64_t nextLine = 1, recordLine = 1;
  bool carriageReturns = false;
};

/// Adds a field to a record, quoted if it must be.
void appendField(std::string &record, std::string_view field, char separator);

} // namespace quern::cli
