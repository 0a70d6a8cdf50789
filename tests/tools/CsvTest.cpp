//===- CsvTest.cpp - records and fields -----------------------------------===//
#include "tools/quern/Csv.h"

#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;
using Fields = std::vector<std::string>;

namespace {
class Csv : public testing::Test {
protected:
  std::string path = testing::TempDir() + "quern_csv" + std::to_string(getpid()) + ".csv";
  void TearDown() override { unlink(path.c_str()); }

  /// All records, the first one too.
  std::vector<Fields> read(const std::string &text, char separator = ',') {
    std::ofstream(path, std::ios::binary) << text;
    auto reader = CsvReader::open(path, separator);
    EXPECT_TRUE(reader) << reader.status().message();
    std::vector<Fields> records = {reader->header()};
    Fields fields;
    for (;;) {
      auto more = reader->next(fields);
      EXPECT_TRUE(more) << more.status().message();
      if (!more || !*more)
        return records;
      records.push_back(fields);
    }
  }
};
} // namespace

TEST_F(Csv, EndsOfLinesAndFields) {
  const std::vector<Fields> wanted = {{"a", "b"}, {"1", ""}, {"", "2"}};
  EXPECT_EQ(read("a,b\n1,\n,2\n"), wanted);
  EXPECT_EQ(read("a,b\r\n1,\r\n,2"), wanted);
  EXPECT_EQ(read("\xEF\xBB\xBF"
                 "a,b\n\n1,\n\r\n,2\n\n"),
            wanted);
  EXPECT_EQ(read("a;b\n1;\n;2", ';'), wanted);
  EXPECT_EQ(read("a\n1\n\n2\n"), (std::vector<Fields>{{"a"}, {"1"}, {""}, {"2"}}));
  EXPECT_EQ(read("a\r\nx\ry\r"), (std::vector<Fields>{{"a"}, {"x\ry"}}));
}

TEST_F(Csv, QuotedFields) {
  EXPECT_EQ(read("\"a,b\",\"c\"\"d\"\n\"1\r\n2\",\"\"\n"),
            (std::vector<Fields>{{"a,b", "c\"d"}, {"1\r\n2", ""}}));
}

/// Whatever lies where one part of the file that is read at once ends.
TEST_F(Csv, PartsOfFiles) {
  for (size_t before = (size_t{1} << 20) - 12; before <= (size_t{1} << 20); ++before) {
    std::string first(before, 'x');
    EXPECT_EQ(read(first + "\r\n\"a\"\"\r\nb\"\r\nc"),
              (std::vector<Fields>{{first}, {"a\"\r\nb"}, {"c"}}));
  }
}

TEST_F(Csv, WhatIsWrittenIsRead) {
  const Fields fields = {"plain", "", "a,b", "\"", "two\nlines", "cr\r", " space "};
  std::string line;
  for (const std::string &field : fields) {
    if (!line.empty())
      line += ',';
    appendField(line, field, ',');
  }
  EXPECT_EQ(read(line + "\n"), std::vector<Fields>{fields});
}

TEST_F(Csv, RecordsAreLimited) {
  std::ofstream(path) << "a\n\"" << std::string((size_t{64} << 20) + 1, 'x');
  auto reader = CsvReader::open(path, ',');
  ASSERT_TRUE(reader);
  Fields fields;
  auto more = reader->next(fields);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.status().code(), StatusCode::ResourceLimit);
}
