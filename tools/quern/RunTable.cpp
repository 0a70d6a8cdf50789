//===- RunTable.cpp - quern run from table to table -----------------------===//
#include "tools/quern/RunTable.h"

#include "quern/NearestName.h"
#include "quern/RandomSeed.h"
#include "quern/Statistics.h"
#include "tools/quern/Interrupt.h"
#include "tools/quern/TableColumns.h"
#include "tools/quern/TableOutput.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

/// Of rows that run at once, where the model does not say: enough for all threads, and few
/// enough that memory does not grow with the table.
static constexpr int64_t kMostRows = 16384;
static constexpr size_t kMostBytes = size_t{64} << 20;

Expected<std::optional<TableRun>> cli::findTables(const InputOptions &inputs,
                                                  const std::vector<std::string> &outputs,
                                                  const std::string &keep) {
  for (const std::string &output : outputs)
    QUERN_TRY(refuseParquet(output));
  auto isTableOutput = [](const std::string &output) { return isTable(output); };
  bool isInput = inputs.given.size() == 1 && isTable(inputs.given[0]);
  bool isOutput = std::ranges::any_of(outputs, isTableOutput) ||
                  (isInput && outputs == std::vector<std::string>{"-"});
  if (!isOutput && !keep.empty())
    return usageError("--keep is for tables: --input IN.csv --output OUT.csv");
  if (!isOutput)
    return std::optional<TableRun>();
  if (!isInput)
    return usageError(
        fmt::format("--output {}: a table is written of a table; give --input FILE.csv "
                    "and no other",
                    *std::ranges::find_if(outputs, isTableOutput)));
  if (outputs.size() > 1)
    return usageError(fmt::format("--output {}: a table is the only output", outputs[1]));
  return std::optional(TableRun{inputs.given[0], outputs[0], keep});
}

/// The numbers of the columns that stay.
static Expected<std::vector<size_t>> columnsToKeep(const std::vector<std::string> &header,
                                                   const TableRun &tables) {
  std::vector<size_t> kept;
  if (tables.keep == "none")
    return kept;
  if (tables.keep.empty() || tables.keep == "all") {
    for (size_t i = 0; i < header.size(); ++i)
      kept.push_back(i);
    return kept;
  }
  for (size_t at = 0; at <= tables.keep.size();) {
    size_t end = std::min(tables.keep.find(',', at), tables.keep.size());
    std::string name = tables.keep.substr(at, end - at);
    auto found = std::ranges::find(header, name);
    if (found == header.end())
      return usageError(fmt::format("--keep: '{}' has no column '{}'{}", tables.input, name,
                                    suggestName(name, header)));
    kept.push_back(static_cast<size_t>(found - header.begin()));
    at = end + 1;
  }
  return kept;
}

namespace {
/// A table on its way through a model.
class TableRunner {
public:
  TableRunner(Runnable &opened, const TableRun &tables, const BackendOptions &backend,
              const InputOptions &inputs, const OutputStyle &style)
      : opened(opened), tables(tables), backend(backend), inputs(inputs), style(style) {}

  Expected<TableReport> run();

private:
  Status runRows(TableColumns &columns, TableOutput &output, AtomicFile &file);

  Runnable &opened;
  const TableRun &tables;
  const BackendOptions &backend;
  const InputOptions &inputs;
  const OutputStyle &style;
  /// Made for the first rows.
  std::optional<PreparedRuns> prepared;
  TableReport report;
};
} // namespace

Status TableRunner::runRows(TableColumns &columns, TableOutput &output, AtomicFile &file) {
  if (std::optional<int64_t> wanted = columns.rowsPerRun(); wanted && *wanted != columns.rows())
    return invalidInput(fmt::format("the model takes {} rows at once; the last {} rows of '{}' are "
                                    "no such number",
                                    *wanted, columns.rows(), tables.input));
  QUERN_ASSIGN(std::vector<AnyValue> values, columns.take(opened.limits));
  QUERN_TRY(checkInputs(opened.inputs(), values));
  if (!prepared) {
    QUERN_ASSIGN(prepared, prepareRuns(opened, backend, values, inputs, style));
    report.compileMs = prepared->compileMs;
    report.threads = prepared->runner->threads();
    report.backend = prepared->backend;
    seedRandomOps(inputs.seed);
  }
  std::vector<AnyValue> results(prepared->runner->outputs().size());
  Stopwatch watch;
  QUERN_TRY(runInterruptibly(*prepared->runner, values, results));
  report.runMs += watch.milliseconds();
  ++report.runs;
  return output.write(opened.outputs(), results, file);
}

Expected<TableReport> TableRunner::run() {
  Progress progress(style);
  QUERN_ASSIGN(char separator, separatorOf(inputs.table, tables.input));
  QUERN_ASSIGN(char outputSeparator,
               separatorOf(inputs.table, tables.output == "-" ? tables.input : tables.output));
  QUERN_TRY(opened.guard.reads("input", tables.input));
  if (tables.output != "-")
    QUERN_TRY(opened.guard.writes("output", tables.output));
  QUERN_ASSIGN(CsvReader reader, CsvReader::open(tables.input, separator));
  QUERN_ASSIGN(TableColumns columns,
               TableColumns::create(opened.inputs(), tables.input, reader.header(), inputs.table));
  QUERN_ASSIGN(std::vector<size_t> kept, columnsToKeep(reader.header(), tables));
  QUERN_ASSIGN(AtomicFile file, tables.output == "-" ? AtomicFile::standardOutput()
                                                     : AtomicFile::create(tables.output));
  TableOutput output(reader.header(), std::move(kept), outputSeparator,
                     reader.hasCarriageReturns());
  int64_t most = columns.rowsPerRun().value_or(kMostRows);
  std::vector<std::string> fields;
  for (size_t bytes = 0;;) {
    QUERN_ASSIGN(bool isThere, reader.next(fields));
    if (isThere) {
      QUERN_TRY(columns.add(fields, reader.place()));
      output.keep(fields);
      for (const std::string &field : fields)
        bytes += field.size() + sizeof(double);
    }
    bool isFull = columns.rows() == most || (bytes > kMostBytes && !columns.rowsPerRun());
    if (columns.rows() > 0 && (isFull || !isThere)) {
      QUERN_TRY(runRows(columns, output, file));
      QUERN_TRY(opened.limits.deadline.check("running over a table"));
      bytes = 0;
      progress.show(fmt::format("{} rows of {}", output.rows(), tables.input));
    }
    if (!isThere)
      break;
  }
  if (output.rows() == 0)
    return invalidInput(fmt::format("'{}' has no rows, only names of columns", tables.input));
  QUERN_TRY(file.commit());
  report.rows = output.rows();
  return report;
}

Expected<TableReport> cli::runTable(Runnable &opened, const TableRun &tables,
                                    const BackendOptions &backend, const InputOptions &inputs,
                                    const OutputStyle &style) {
  return TableRunner(opened, tables, backend, inputs, style).run();
}
