//===- Csv.cpp - tables as text -------------------------------------------===//
#include "tools/quern/Csv.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>

using namespace quern;
using namespace quern::cli;

static constexpr size_t kBufferBytes = size_t{1} << 20;
static constexpr size_t kMostRecordBytes = size_t{64} << 20;

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

bool CsvReader::refill() {
  // What is left, at most one byte that was looked at, stays.
  buffer.erase(0, at);
  at = 0;
  size_t left = buffer.size();
  buffer.resize(left + kBufferBytes);
  buffer.resize(left + std::fread(buffer.data() + left, 1, kBufferBytes, input.file.get()));
  return buffer.size() > left;
}

int CsvReader::peek() {
  if (at == buffer.size() && !refill())
    return -1;
  return static_cast<unsigned char>(buffer[at]);
}

int CsvReader::take() {
  int byte = peek();
  if (byte >= 0)
    ++at;
  return byte;
}

bool CsvReader::isAtLineEnd() {
  int byte = peek();
  if (byte != '\r')
    return byte == '\n' || byte < 0;
  // A carriage return of its own is part of a field.
  if (at + 1 == buffer.size())
    refill();
  return at + 1 == buffer.size() || buffer[at + 1] == '\n';
}

void CsvReader::takeLineEnd() {
  if (peek() == '\r') {
    carriageReturns = true;
    take();
  }
  if (take() == '\n')
    ++nextLine;
}

//===----------------------------------------------------------------------===//
// Fields and records
//===----------------------------------------------------------------------===//

std::string CsvReader::place() const { return fmt::format("{}:{}", path, recordLine); }

Status CsvReader::fail(const std::string &message) const {
  return invalidInput(place() + ": " + message);
}

static Status tooLong() {
  return resourceLimit(fmt::format("a record of more than {} bytes", kMostRecordBytes));
}

Status CsvReader::readPlain(std::string &field, size_t number, size_t &left) {
  while (!isAtLineEnd() && peek() != static_cast<unsigned char>(separator)) {
    char byte = static_cast<char>(take());
    if (byte == '"')
      return fail(fmt::format("field {} has a quote, but does not begin with one", number));
    if (left-- == 0)
      return tooLong().withContext(place());
    field += byte;
  }
  return Status::ok();
}

/// What comes after the first quote, to the last one.
Status CsvReader::readQuoted(std::string &field, size_t number, size_t &left) {
  int64_t begin = nextLine;
  for (;;) {
    int byte = take();
    if (byte < 0)
      return invalidInput(
          fmt::format("{}:{}: the quote that begins field {} does not end", path, begin, number));
    if (byte == '"' && peek() != '"')
      break;
    if (byte == '"')
      take();
    nextLine += byte == '\n';
    if (left-- == 0)
      return tooLong().withContext(place());
    field += static_cast<char>(byte);
  }
  if (!isAtLineEnd() && peek() != static_cast<unsigned char>(separator))
    return fail(fmt::format("field {} goes on after its quote ends", number));
  return Status::ok();
}

Expected<bool> CsvReader::readRecord(std::vector<std::string> &fields) {
  recordLine = nextLine;
  size_t count = 0, left = kMostRecordBytes;
  if (peek() < 0)
    return std::ferror(input.file.get())
               ? ioError(fmt::format("cannot read '{}': {}", path, std::strerror(errno)))
               : Expected<bool>(false);
  for (;;) {
    if (count == fields.size())
      fields.emplace_back();
    std::string &field = fields[count++];
    field.clear();
    if (peek() == '"') {
      take();
      QUERN_TRY(readQuoted(field, count, left));
    } else {
      QUERN_TRY(readPlain(field, count, left));
    }
    if (isAtLineEnd())
      break;
    take(); // the separator
  }
  takeLineEnd();
  fields.resize(count);
  return true;
}

Expected<CsvReader> CsvReader::open(const std::string &path, char separator) {
  QUERN_ASSIGN(InputFile input, openFile(path));
  CsvReader reader(path, std::move(input), separator);
  reader.peek();
  if (std::string_view(reader.buffer).starts_with("\xEF\xBB\xBF"))
    reader.at = 3;
  QUERN_ASSIGN(bool hasHeader, reader.readRecord(reader.names));
  if (!hasHeader)
    return invalidInput(path + ": an empty file; the first line of a table names its columns");
  return reader;
}

Expected<bool> CsvReader::next(std::vector<std::string> &fields) {
  for (;;) {
    QUERN_ASSIGN(bool isThere, readRecord(fields));
    if (!isThere)
      return false;
    if (fields.size() == names.size())
      return true;
    bool isEmptyLine = fields.size() == 1 && fields[0].empty();
    if (!isEmptyLine)
      return fail(fmt::format("{} field{}, the first line names {} columns", fields.size(),
                              fields.size() == 1 ? "" : "s", names.size()));
  }
}

void cli::appendField(std::string &record, std::string_view field, char separator) {
  const char special[] = {'"', '\r', '\n', separator, '\0'};
  if (field.find_first_of(special) == std::string_view::npos) {
    record += field;
    return;
  }
  record += '"';
  for (char byte : field) {
    if (byte == '"')
      record += '"';
    record += byte;
  }
  record += '"';
}
