//===- RunTable.h - quern run from table to table -------------------------===//
#pragma once

#include "tools/quern/OpenModel.h"

#include <optional>
#include <string>
#include <vector>

namespace quern::cli {

/// What a run from table to table is asked for.
struct TableRun {
  std::string input, output;
  /// "id,name": the columns that the output begins with; "all" (as when it is empty), "none".
  std::string keep;
};

/// The tables, where `inputs` and `outputs` are one table each; none where no output is one. Usage
/// error where one is and the others do not fit.
Expected<std::optional<TableRun>> findTables(const InputOptions &inputs,
                                             const std::vector<std::string> &outputs,
                                             const std::string &keep);

struct TableReport {
  int64_t rows = 0;
  int64_t runs = 0;
  /// With what was chosen.
  BackendOptions backend = {};
  int threads = 0;
  double compileMs = 0, runMs = 0;
};

/// Runs the model on the rows of a table, some thousand at once, and writes another with its
/// outputs as columns, which appears complete or not at all.
Expected<TableReport> runTable(Runnable &opened, const TableRun &tables,
                               const BackendOptions &backend, const InputOptions &inputs,
                               const OutputStyle &style);

} // namespace quern::cli
