//===- TableColumns.cpp - columns of tables as the inputs of models -------===//
#include "tools/quern/TableColumns.h"

#include "quern/NearestName.h"
#include "tools/quern/Ports.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fmt/ranges.h>
#include <limits>

using namespace quern;
using namespace quern::cli;

/// An error names so many columns.
static constexpr size_t kNamedColumns = 20;

bool cli::isTable(const std::string &path) {
  return path.ends_with(".csv") || path.ends_with(".tsv");
}

Status cli::refuseParquet(const std::string &path) {
  if (!path.ends_with(".parquet"))
    return Status::ok();
  return usageError(
      fmt::format("'{}': tables of Parquet are the Python package's (pip install quern "
                  "pyarrow): python3 -m quern run MODEL --input IN.parquet --output "
                  "OUT.parquet",
                  path));
}

Expected<char> cli::separatorOf(const TableOptions &options, const std::string &path) {
  const std::string &text = options.separator;
  if (text == "tab" || (text.empty() && path.ends_with(".tsv")))
    return '\t';
  if (text.empty())
    return ',';
  if (text.size() != 1 || text == "\"" || text == "\n" || text == "\r")
    return usageError("--separator " + text + ": wanted one character, or tab");
  return text[0];
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

static std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos)
    return {};
  text = text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
  return text.size() > 1 && text[0] == '+' && text[1] != '-' ? text.substr(1) : text;
}

/// Rounded once, to the nearest; what is too small to be told from 0 is 0.
template <typename T> static bool parseFloat(std::string_view text, T &number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size() || text.empty())
    return false;
  if (error == std::errc::result_out_of_range) {
    double wide = 0;
    auto wider = std::from_chars(text.data(), text.data() + text.size(), wide);
    // Of what not even a double can hold the exponent tells which end it is beyond.
    bool isSmall = wider.ec == std::errc() ? std::abs(wide) < 1
                                           : text.find("e-") != std::string_view::npos ||
                                                 text.find("E-") != std::string_view::npos;
    number = 0;
    return isSmall;
  }
  return error == std::errc();
}

/// Also "3.0", as tables have integers among which some were missing once.
template <typename T> static bool parseInteger(std::string_view text, T &number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size())
    return true;
  double wide = 0;
  constexpr double kExact = 9007199254740992; // 2^53
  if (!parseFloat(text, wide) || wide != std::trunc(wide) || std::abs(wide) > kExact ||
      wide < static_cast<double>(std::numeric_limits<T>::min()) ||
      wide > static_cast<double>(std::numeric_limits<T>::max()))
    return false;
  number = static_cast<T>(wide);
  return true;
}

static bool parseBool(std::string_view text, bool &value) {
  value = text == "true" || text == "True" || text == "TRUE" || text == "1";
  return value || text == "false" || text == "False" || text == "FALSE" || text == "0";
}

template <typename T> static bool appendParsed(std::string_view text, std::string &bytes) {
  T number{};
  bool isNumber = false;
  if constexpr (std::is_same_v<T, bool>) {
    isNumber = parseBool(text, number);
  } else if constexpr (std::is_integral_v<T>) {
    isNumber = parseInteger(text, number);
  } else if constexpr (std::is_floating_point_v<T>) {
    isNumber = parseFloat(text, number);
  } else {
    float wide = 0;
    isNumber = parseFloat(text, wide);
    number = T(wide);
  }
  if (isNumber)
    bytes.append(reinterpret_cast<const char *>(&number), sizeof number);
  return isNumber;
}

/// Null for types that a table has no numbers of.
static bool (*parserOf(DType dtype))(std::string_view text, std::string &bytes) {
  switch (dtype) {
  case DType::Float32:
    return appendParsed<float>;
  case DType::Float64:
    return appendParsed<double>;
  case DType::Float16:
    return appendParsed<Float16>;
  case DType::BFloat16:
    return appendParsed<BFloat16>;
  case DType::Int8:
    return appendParsed<int8_t>;
  case DType::Int16:
    return appendParsed<int16_t>;
  case DType::Int32:
    return appendParsed<int32_t>;
  case DType::Int64:
    return appendParsed<int64_t>;
  case DType::UInt8:
    return appendParsed<uint8_t>;
  case DType::UInt16:
    return appendParsed<uint16_t>;
  case DType::UInt32:
    return appendParsed<uint32_t>;
  case DType::UInt64:
    return appendParsed<uint64_t>;
  case DType::Bool:
    return appendParsed<bool>;
  default:
    return nullptr;
  }
}

//===----------------------------------------------------------------------===//
// Which columns
//===----------------------------------------------------------------------===//

static std::string joinColumns(std::span<const std::string> names) {
  auto shown = names.first(std::min(names.size(), kNamedColumns));
  return fmt::format("{}{}", fmt::join(shown, ", "), shown.size() < names.size() ? ", ..." : "");
}

Expected<size_t> TableColumns::findColumn(const std::string &name, const std::string &path) const {
  auto found = std::ranges::find(header, name);
  if (found == header.end())
    return invalidInput(fmt::format("'{}' has no column '{}'; it has {}{}", path, name,
                                    joinColumns(header), suggestName(name, header)));
  if (std::ranges::find(found + 1, header.end(), name) != header.end())
    return invalidInput(fmt::format("'{}' has two columns '{}'", path, name));
  return static_cast<size_t>(found - header.begin());
}

Expected<std::vector<size_t>> TableColumns::findColumns(const std::string &list,
                                                        const std::string &path) const {
  std::vector<size_t> columns;
  for (size_t at = 0; at <= list.size();) {
    size_t end = std::min(list.find(',', at), list.size());
    QUERN_ASSIGN(size_t column, findColumn(list.substr(at, end - at), path));
    columns.push_back(column);
    at = end + 1;
  }
  return columns;
}

/// The columns that --columns names for an input; none where it does not.
static std::optional<std::string> listFor(const std::string &input, bool isOnly,
                                          const TableOptions &options) {
  for (const std::string &list : options.columns)
    if (list.starts_with(input + "="))
      return list.substr(input.size() + 1);
  return isOnly && !options.columns.empty() ? std::optional(options.columns.front()) : std::nullopt;
}

Expected<TableColumns::Source> TableColumns::sourceOf(const PortSignature &port, bool isOnly,
                                                      const std::string &path,
                                                      const TableOptions &options) const {
  if (!port.isTensor() || !port.ranked || port.shape.rank() < 1 || port.shape.rank() > 2 ||
      (port.dtype != DType::String && !parserOf(port.dtype)))
    return invalidInput(fmt::format("input '{}' takes {}, which is no row of a table for each row",
                                    port.name, port.describe()));
  Source source{.port = port, .columns = {}};
  bool isMatrix = port.shape.rank() == 2;
  std::optional<int64_t> wanted = isMatrix && !port.shape[1].isStatic()
                                      ? std::nullopt
                                      : std::optional(isMatrix ? port.shape[1].size() : 1);
  if (std::optional<std::string> list = listFor(port.name, isOnly, options)) {
    QUERN_ASSIGN(source.columns, findColumns(*list, path));
  } else if (isOnly && wanted != 1) {
    for (size_t i = 0; i < header.size(); ++i)
      source.columns.push_back(i);
  } else {
    bool isSingle = isOnly && header.size() == 1;
    QUERN_ASSIGN(size_t column,
                 isSingle ? Expected<size_t>(size_t{0}) : findColumn(port.name, path));
    source.columns = {column};
  }
  if (wanted && *wanted != static_cast<int64_t>(source.columns.size()))
    return invalidInput(fmt::format(
        "input '{}' takes {} columns, found {}; --columns {}a,b,... says which of '{}' ({})",
        port.name, *wanted, source.columns.size(), isOnly ? "" : port.name + "=", path,
        joinColumns(header)));
  return source;
}

/// A table without names would lose its first row.
static Status checkHeader(const std::vector<std::string> &header, const std::string &path) {
  auto isNumber = [](const std::string &name) {
    double number = 0;
    return parseFloat(trimmed(name), number);
  };
  if (std::ranges::all_of(header, isNumber))
    return invalidInput(fmt::format("'{}' begins with a row of numbers ({}); the first line of a "
                                    "table names its columns",
                                    path, joinColumns(header)));
  return Status::ok();
}

Expected<TableColumns> TableColumns::create(std::span<const PortSignature> ports,
                                            const std::string &path,
                                            const std::vector<std::string> &header,
                                            const TableOptions &options) {
  QUERN_TRY(checkHeader(header, path));
  TableColumns made;
  made.header = header;
  made.missing = options.missing;
  bool isOnly = ports.size() == 1;
  for (const std::string &list : options.columns)
    if (!isOnly && std::ranges::none_of(ports, [&](const PortSignature &port) {
          return list.starts_with(port.name + "=");
        }))
      return usageError(fmt::format("--columns {}: the model has {} inputs; write NAME=a,b,... for "
                                    "one of {}",
                                    list, ports.size(), joinNames(ports)));
  if (isOnly && options.columns.size() > 1)
    return usageError("--columns is given twice, and the model has one input");
  for (const PortSignature &port : ports) {
    QUERN_ASSIGN(Source source, made.sourceOf(port, isOnly, path, options));
    const PortDim &rows = port.shape[0];
    if (rows.isStatic() && made.fixedRows && *made.fixedRows != rows.size())
      return invalidInput("the model's inputs take different numbers of rows");
    if (rows.isStatic())
      made.fixedRows = rows.size();
    made.sources.push_back(std::move(source));
  }
  if (made.fixedRows == 0)
    return invalidInput("the model takes no rows");
  return made;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

Status TableColumns::addNumber(Source &source, const std::string &text, size_t column,
                               const std::string &place) {
  auto parse = parserOf(source.port.dtype);
  std::string_view number = trimmed(text);
  auto where = [&] {
    return fmt::format("{}: column '{}' ({})", place, header[column], column + 1);
  };
  if (number.empty() && missing.empty())
    return invalidInput(where() + " has no value; --missing nan, or a number, says what stands "
                                  "for one");
  if (parse(number.empty() ? std::string_view(missing) : number, source.bytes))
    return Status::ok();
  if (number.empty())
    return invalidInput(fmt::format("{} has no value, and --missing {} is no {}", where(), missing,
                                    dtypeName(source.port.dtype)));
  constexpr size_t kShown = 40;
  return invalidInput(fmt::format("{} has '{}'{}, input '{}' takes {}", where(),
                                  text.substr(0, kShown), text.size() > kShown ? "..." : "",
                                  source.port.name, dtypeName(source.port.dtype)));
}

Status TableColumns::add(const std::vector<std::string> &fields, const std::string &place) {
  for (Source &source : sources)
    for (size_t column : source.columns) {
      if (source.port.dtype == DType::String)
        source.texts.push_back(fields[column]);
      else
        QUERN_TRY(addNumber(source, fields[column], column, place));
    }
  ++count;
  return Status::ok();
}

Expected<std::vector<AnyValue>> TableColumns::take(const Limits &limits) {
  std::vector<AnyValue> values;
  for (Source &source : sources) {
    Tensor::Dims dims = {count};
    if (source.port.shape.rank() == 2)
      dims.push_back(static_cast<int64_t>(source.columns.size()));
    QUERN_ASSIGN(Tensor tensor, Tensor::allocate(source.port.dtype, std::move(dims), limits));
    if (source.port.dtype == DType::String)
      std::ranges::move(source.texts, tensor.mutableData<std::string>());
    else if (!source.bytes.empty())
      std::memcpy(tensor.mutableRawData(), source.bytes.data(), source.bytes.size());
    source.texts.clear();
    source.bytes.clear();
    values.emplace_back(std::move(tensor));
  }
  count = 0;
  return values;
}

Expected<std::vector<AnyValue>> cli::readTable(std::span<const PortSignature> ports,
                                               const std::string &path, const TableOptions &options,
                                               const Limits &limits) {
  QUERN_ASSIGN(char separator, separatorOf(options, path));
  QUERN_ASSIGN(CsvReader reader, CsvReader::open(path, separator));
  QUERN_ASSIGN(TableColumns columns, TableColumns::create(ports, path, reader.header(), options));
  std::vector<std::string> fields;
  for (int64_t bytes = 0;;) {
    QUERN_ASSIGN(bool isThere, reader.next(fields));
    if (!isThere)
      return columns.take(limits);
    QUERN_TRY(columns.add(fields, reader.place()));
    for (const std::string &field : fields)
      bytes += static_cast<int64_t>(sizeof(std::string) + field.size());
    if (bytes > limits.maxActivationBytes)
      return resourceLimit(fmt::format("'{}' has too many rows to hold all of them; with --output "
                                       "FILE.csv quern run takes them in parts",
                                       path));
  }
}
