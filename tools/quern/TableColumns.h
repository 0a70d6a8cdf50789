//===- TableColumns.h - columns of tables as the inputs of models ---------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/PortSignature.h"
#include "tools/quern/Csv.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

struct TableOptions {
  /// "a,b,c" for a single input, NAME=a,b,c for others; empty for all columns, or by name.
  std::vector<std::string> columns;
  /// What stands for numbers that are missing: "nan" or a number; empty to refuse them.
  std::string missing;
  /// A character, or "tab"; empty for a comma, in .tsv files a tab.
  std::string separator;
};

/// What is between the fields of a table at that path. Usage error for what is none.
Expected<char> separatorOf(const TableOptions &options, const std::string &path);

/// Whether a path is that of a table as text.
bool isTable(const std::string &path);
/// Usage error, with the command to take instead, for the path of a Parquet file.
Status refuseParquet(const std::string &path);

/// Collects rows of a table as the inputs of a model: an input with k columns takes those that
/// --columns names; a model's only input takes all columns if none are named, where there are as
/// many; others take the column of their name.
class TableColumns {
public:
  /// InvalidInput, naming the input, for columns that are not there, or more or fewer than it
  /// takes.
  static Expected<TableColumns> create(std::span<const PortSignature> ports,
                                       const std::string &path,
                                       const std::vector<std::string> &header,
                                       const TableOptions &options);

  /// How many rows a run takes, where that is part of the model.
  std::optional<int64_t> rowsPerRun() const { return fixedRows; }
  int64_t rows() const { return count; }
  /// Adds a row. InvalidInput, with `place` and the column's name, for what is no such number or
  /// missing.
  Status add(const std::vector<std::string> &fields, const std::string &place);
  /// The rows so far as tensors, after which there are none.
  Expected<std::vector<AnyValue>> take(const Limits &limits);

private:
  /// An input, its columns by number, and its elements so far: bytes of numbers, or strings.
  struct Source {
    PortSignature port;
    std::vector<size_t> columns;
    std::string bytes = {};
    std::vector<std::string> texts = {};
  };
  Status addNumber(Source &source, const std::string &text, size_t column,
                   const std::string &place);
  Expected<Source> sourceOf(const PortSignature &port, bool isOnly, const std::string &path,
                            const TableOptions &options) const;
  Expected<std::vector<size_t>> findColumns(const std::string &list, const std::string &path) const;
  Expected<size_t> findColumn(const std::string &name, const std::string &path) const;

  std::vector<std::string> header;
  std::vector<Source> sources;
  std::string missing;
  std::optional<int64_t> fixedRows;
  int64_t count = 0;
};

/// All rows of a table as the inputs of a model.
Expected<std::vector<AnyValue>> readTable(std::span<const PortSignature> ports,
                                          const std::string &path, const TableOptions &options,
                                          const Limits &limits);

} // namespace quern::cli
