//===- TableOutput.h - a model's outputs as columns of a table ------------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/PortSignature.h"
#include "tools/quern/Csv.h"

#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// Writes rows of a table with what a model gives for each: an output of one number a row is a
/// column of its name, one of several is NAME_0, NAME_1, ..., maps (of classifiers) are NAME_KEY.
class TableOutput {
public:
  /// `kept`: the columns of the table that is read which the other has, too.
  TableOutput(std::vector<std::string> header, std::vector<size_t> kept, char separator,
              bool hasCarriageReturns)
      : header(std::move(header)), kept(std::move(kept)), separator(separator),
        lineEnd(hasCarriageReturns ? "\r\n" : "\n") {}

  /// What is kept of a row, until the outputs for it are known.
  void keep(const std::vector<std::string> &fields);
  /// Bytes of what is kept.
  size_t heldBytes() const { return text.size(); }
  /// The lines for the rows kept, the first time after one of names. Unsupported, naming the
  /// output, for what has no row for each; InvalidInput for names that are there twice.
  Status write(std::span<const PortSignature> ports, std::span<const AnyValue> values,
               AtomicFile &file);
  int64_t rows() const { return written; }

private:
  /// An output that is written column by column.
  struct Columns {
    const Tensor *tensor = nullptr;
    const SequenceValue *maps = nullptr;
    int64_t width = 1;
    /// Of maps.
    std::vector<std::string> keys = {};
  };
  Expected<Columns> columnsOf(const PortSignature &port, const AnyValue &value, int64_t rows);
  Expected<std::string> nameColumns(std::span<const PortSignature> ports,
                                    std::span<const Columns> columns) const;
  /// `isFirst`: whether the line has no fields yet.
  Status appendRow(std::string &line, bool &isFirst, const Columns &columns, int64_t row) const;

  std::vector<std::string> header;
  std::vector<size_t> kept;
  char separator;
  const char *lineEnd;
  /// The rows kept, and where each ends in `text`.
  std::string text;
  std::vector<size_t> ends;
  /// Those of each output in the first rows.
  std::vector<std::vector<std::string>> firstKeys;
  std::vector<int64_t> firstWidths;
  int64_t written = 0;
  bool hasNames = false;
};

} // namespace quern::cli
