//===- TableOutput.cpp - a model's outputs as columns of a table ----------===//
#include "tools/quern/TableOutput.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

using namespace quern;
using namespace quern::cli;

/// More columns than this are no table.
static constexpr int64_t kMostColumns = 100'000;

void TableOutput::keep(const std::vector<std::string> &fields) {
  for (size_t i = 0; i < kept.size(); ++i) {
    if (i > 0)
      text += separator;
    appendField(text, fields[kept[i]], separator);
  }
  ends.push_back(text.size());
}

static std::string keyOf(const Tensor &keys, int64_t i) {
  return keys.dtype() == DType::String ? keys.data<std::string>()[i]
                                       : std::to_string(keys.data<int64_t>()[i]);
}

static std::vector<std::string> keysOf(const AnyValue &value) {
  std::vector<std::string> keys;
  if (const MapValue *map = value.asMap())
    for (int64_t i = 0; i < map->keys.numElements(); ++i)
      keys.push_back(keyOf(map->keys, i));
  return keys;
}

Expected<TableOutput::Columns> TableOutput::columnsOf(const PortSignature &port,
                                                      const AnyValue &value, int64_t rows) {
  Columns columns;
  int64_t found = -1;
  if ((columns.tensor = value.asTensor()) && columns.tensor->rank() >= 1) {
    found = columns.tensor->dim(0);
    columns.width = found > 0 ? columns.tensor->numElements() / found : 1;
  } else if ((columns.maps = value.asSequence()) &&
             columns.maps->elementType.kind == ValueType::Kind::Map) {
    found = static_cast<int64_t>(columns.maps->elements.size());
    if (found > 0)
      columns.keys = keysOf(columns.maps->elements[0]);
    columns.width = static_cast<int64_t>(columns.keys.size());
  }
  if (found != rows)
    return unsupported(
        fmt::format("output '{}' is {} for {} rows of a table; only an output with a "
                    "row for each becomes columns",
                    port.name, value.describe(), rows));
  if (columns.width > kMostColumns)
    return unsupported(fmt::format("output '{}' would be {} columns; at most {} are written",
                                   port.name, columns.width, kMostColumns));
  return columns;
}

Expected<std::string> TableOutput::nameColumns(std::span<const PortSignature> ports,
                                               std::span<const Columns> columns) const {
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (size_t column : kept) {
    names.push_back(header[column]);
    taken.insert(header[column]);
  }
  for (size_t i = 0; i < ports.size(); ++i)
    for (int64_t j = 0; j < columns[i].width; ++j) {
      std::string name = ports[i].name;
      if (!columns[i].keys.empty())
        name += "_" + columns[i].keys[static_cast<size_t>(j)];
      else if (columns[i].width > 1)
        name += fmt::format("_{}", j);
      if (!taken.insert(name).second)
        return invalidInput(fmt::format("there would be two columns '{}': one of the table and one "
                                        "of output '{}'; --keep says which of the table's to keep",
                                        name, ports[i].name));
      names.push_back(std::move(name));
    }
  std::string line;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0)
      line += separator;
    appendField(line, names[i], separator);
  }
  return line + lineEnd;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

/// With the fewest digits that are read as the same number.
static std::string textOf(const Tensor &tensor, int64_t i) {
  switch (tensor.dtype()) {
  case DType::Float32:
    return fmt::format("{}", tensor.data<float>()[i]);
  case DType::Float64:
    return fmt::format("{}", tensor.data<double>()[i]);
  case DType::Float16:
    return fmt::format("{}", static_cast<float>(tensor.data<Float16>()[i]));
  case DType::BFloat16:
    return fmt::format("{}", static_cast<float>(tensor.data<BFloat16>()[i]));
  case DType::Int8:
    return std::to_string(tensor.data<int8_t>()[i]);
  case DType::Int16:
    return std::to_string(tensor.data<int16_t>()[i]);
  case DType::Int32:
    return std::to_string(tensor.data<int32_t>()[i]);
  case DType::Int64:
    return std::to_string(tensor.data<int64_t>()[i]);
  case DType::UInt8:
    return std::to_string(tensor.data<uint8_t>()[i]);
  case DType::UInt16:
    return std::to_string(tensor.data<uint16_t>()[i]);
  case DType::UInt32:
    return std::to_string(tensor.data<uint32_t>()[i]);
  case DType::UInt64:
    return std::to_string(tensor.data<uint64_t>()[i]);
  case DType::Bool:
    return tensor.data<bool>()[i] ? "true" : "false";
  case DType::String:
    return tensor.data<std::string>()[i];
  default:
    return "";
  }
}

static bool hasText(DType dtype) {
  Tensor one = Tensor::allocate(dtype, {1}).take();
  return dtype == DType::String || !textOf(one, 0).empty();
}

Status TableOutput::appendRow(std::string &line, bool &isFirst, const Columns &columns,
                              int64_t row) const {
  const MapValue *map =
      columns.maps ? columns.maps->elements[static_cast<size_t>(row)].asMap() : nullptr;
  if (columns.maps && keysOf(columns.maps->elements[static_cast<size_t>(row)]) != columns.keys)
    return unsupported("maps with other keys from row to row");
  for (int64_t j = 0; j < columns.width; ++j) {
    if (!isFirst)
      line += separator;
    isFirst = false;
    const Tensor *tensor = map ? map->values[static_cast<size_t>(j)].asTensor() : columns.tensor;
    if (!tensor || (map && tensor->numElements() != 1))
      return unsupported("maps to what is not one number");
    appendField(line, textOf(*tensor, map ? 0 : row * columns.width + j), separator);
  }
  return Status::ok();
}

Status TableOutput::write(std::span<const PortSignature> ports, std::span<const AnyValue> values,
                          AtomicFile &file) {
  auto rows = static_cast<int64_t>(ends.size());
  std::vector<Columns> columns;
  std::vector<std::vector<std::string>> keys;
  std::vector<int64_t> widths;
  for (size_t i = 0; i < ports.size(); ++i) {
    QUERN_ASSIGN(Columns each, columnsOf(ports[i], values[i], rows));
    if (each.tensor && !hasText(each.tensor->dtype()))
      return unsupported(
          fmt::format("output '{}' ({}) in a table", ports[i].name, ports[i].describe()));
    keys.push_back(each.keys);
    widths.push_back(each.width);
    columns.push_back(std::move(each));
  }
  if (!hasNames) {
    QUERN_ASSIGN(std::string names, nameColumns(ports, columns));
    file.write(names);
    firstKeys = keys;
    firstWidths = widths;
    hasNames = true;
  }
  if (keys != firstKeys || widths != firstWidths)
    return unsupported("outputs of other columns from row to row");
  std::string lines;
  size_t begin = 0;
  for (int64_t row = 0; row < rows; ++row) {
    size_t end = ends[static_cast<size_t>(row)];
    std::string line = text.substr(begin, end - begin);
    begin = end;
    bool isFirst = kept.empty();
    for (size_t i = 0; i < columns.size(); ++i)
      if (Status status = appendRow(line, isFirst, columns[i], row); !status.isOk())
        return status.withContext("output '" + ports[i].name + "'");
    // An empty line would be no row.
    lines += line.empty() ? "\"\"" : line;
    lines += lineEnd;
  }
  file.write(lines);
  written += rows;
  text.clear();
  ends.clear();
  return Status::ok();
}
