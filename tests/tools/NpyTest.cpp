//===- NpyTest.cpp --------------------------------------------------------===//
#include "tools/quern/Npy.h"

#include <gtest/gtest.h>

using namespace quern;
using namespace quern::cli;

namespace {
/// A version 1 file with this dictionary and these bytes.
std::string npy(const std::string &dictionary, const std::string &data) {
  std::string header = "\x93NUMPY";
  header += {'\x01', '\x00', static_cast<char>(dictionary.size()), '\x00'};
  return header + dictionary + data;
}

Expected<Tensor> parse(const std::string &bytes, const Limits &limits = {}) {
  return parseNpy(std::as_bytes(std::span(bytes)), nullptr, limits);
}

std::string errorOf(const std::string &bytes, StatusCode code = StatusCode::InvalidInput) {
  auto tensor = parse(bytes);
  EXPECT_FALSE(tensor) << bytes;
  EXPECT_EQ(tensor.status().code(), code);
  return tensor.status().message();
}

const std::string kBytes3x2 = {0, 1, 2, 3, 4, 5};
} // namespace

TEST(Npy, ReadsRowAndColumnMajor) {
  auto rows = parse(npy("{'descr': '|i1', 'fortran_order': False, 'shape': (3, 2), }", kBytes3x2));
  ASSERT_TRUE(rows) << rows.status().message();
  EXPECT_EQ(rows->describe(), "int8 3x2");
  EXPECT_EQ(rows->data<int8_t>()[1], 1);
  auto columns =
      parse(npy("{'descr': '|i1', 'fortran_order': True, 'shape': (3, 2), }", kBytes3x2));
  ASSERT_TRUE(columns) << columns.status().message();
  std::vector<int8_t> found(columns->data<int8_t>(), columns->data<int8_t>() + 6);
  EXPECT_EQ(found, (std::vector<int8_t>{0, 3, 1, 4, 2, 5}));
}

TEST(Npy, AcceptsWhatOtherWritersWrite) {
  EXPECT_TRUE(parse(npy("{\"shape\":(6,),\"fortran_order\":False,\"descr\":\"<u1\"}", kBytes3x2)));
  EXPECT_TRUE(parse(npy("{'descr': '=f4', 'fortran_order': False, 'shape': ()}\n", "abcd")));
  EXPECT_EQ(parse(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5)}", ""))->describe(),
            "float32 0x5");
}

TEST(Npy, BoolsAreZeroOrOne) {
  auto tensor = parse(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", "\x01\x07Z"));
  ASSERT_TRUE(tensor);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(tensor->data<uint8_t>()[i], 1);
}

TEST(Npy, ReadsStrings) {
  const std::vector<std::string> words = {"red", "gr\xc3\xbcn", "", "\xf0\x9f\x98\x80\xe2\x82\xac"};
  Tensor written = Tensor::allocate(DType::String, {2, 2}).take();
  std::copy(words.begin(), words.end(), written.mutableData<std::string>());
  auto array = toNpy(written);
  ASSERT_TRUE(array) << array.status().message();
  std::string bytes = array->header;
  bytes.append(reinterpret_cast<const char *>(array->bytes().data()), array->bytes().size());
  auto found = parse(bytes);
  ASSERT_TRUE(found) << found.status().message();
  EXPECT_EQ(found->dims(), written.dims());
  auto texts = found->elementsAs<std::string>();
  EXPECT_EQ(std::vector<std::string>(texts.begin(), texts.end()), words);
  std::string letters = {'a', 0, 0, 0, 'b', 0, 0, 0, 'c', 0, 0, 0, 'd', 0, 0, 0};
  found = parse(npy("{'descr': '<U1', 'fortran_order': True, 'shape': (2, 2)}", letters));
  ASSERT_TRUE(found) << found.status().message();
  EXPECT_EQ(found->elementsAs<std::string>()[1], "c");
}

TEST(Npy, RefusesDamagedStrings) {
  std::string surrogate = {0, '\xd8', 0, 0};
  EXPECT_EQ(errorOf(npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", surrogate)),
            "string 0 has 0xd800, which is no character");
  EXPECT_EQ(errorOf(npy("{'descr': '<U2', 'fortran_order': False, 'shape': (1,)}", surrogate)),
            "an array of strings of 2 characters 1 needs 8 bytes, the .npy file has 4");
  errorOf(npy("{'descr': '<U9223372036854775807', 'fortran_order': False, 'shape': (2,)}", ""));
  errorOf(npy("{'descr': '<U-1', 'fortran_order': False, 'shape': (1,)}", ""));
  errorOf(npy("{'descr': '<U0', 'fortran_order': False, 'shape': (99999999999999,)}", ""),
          StatusCode::ResourceLimit);
}

TEST(Npy, RefusesDamage) {
  EXPECT_EQ(errorOf(""), "not a .npy file");
  EXPECT_EQ(errorOf("PK\x03\x04"), "not a .npy file");
  std::string good = npy("{'descr': '|i1', 'fortran_order': False, 'shape': (3, 2), }", kBytes3x2);
  // No prefix and no extension of a good file is one.
  for (size_t length = 0; length < good.size(); ++length)
    errorOf(good.substr(0, length));
  EXPECT_EQ(errorOf(good + "x"), "an array of int8 3x2 needs 6 bytes, the .npy file has 7");
  good[6] = 9;
  EXPECT_EQ(errorOf(good), ".npy format version 9 is unknown");
}

TEST(Npy, RefusesMalformedHeaders) {
  for (const char *header :
       {"", "{}", "[]", "{'descr': '|i1', 'fortran_order': False, 'shape': (6,)} x",
        "{'descr': '|i1', 'fortran_order': False}", "{'descr': '|i1', 'shape': (6,)}",
        "{'descr': '|i1', 'fortran_order': 0, 'shape': (6,)}",
        "{'descr': '|i1', 'descr': '|i1', 'fortran_order': False, 'shape': (6,)}",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (-6,)}",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (6 6)}",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (6,), 'more': 1}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}"})
    EXPECT_EQ(errorOf(npy(header, kBytes3x2)), "the header of the .npy file is malformed")
        << header;
}

TEST(Npy, RefusesTypesAndSizesBeyondReason) {
  auto header = [](const std::string &descr, const std::string &shape) {
    return npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + ",)}", "");
  };
  for (const char *descr : {">f4", "|O", ">U4", "|S4", "<M8", "f4", ""})
    EXPECT_NE(errorOf(header(descr, "0")).find("is not supported"), std::string::npos) << descr;
  EXPECT_EQ(errorOf(header("<f4", "4611686018427387904, 4611686018427387904")),
            "an array of float32 4611686018427387904x4611686018427387904 needs too many bytes, the "
            ".npy file has 0");
  std::string ones = "1";
  for (int i = 0; i < 70; ++i)
    ones += ",1";
  errorOf(header("<f4", ones), StatusCode::ResourceLimit);
}

TEST(Npy, WritesWhatItReads) {
  for (const Tensor::Dims &dims : {Tensor::Dims{}, {3}, {1, 3}, {2, 0, 2}})
    for (DType dtype : {DType::Bool, DType::Int8, DType::UInt16, DType::Int64, DType::Float16,
                        DType::Float32, DType::Complex128}) {
      Tensor tensor = Tensor::allocate(dtype, dims).take();
      auto array = toNpy(tensor);
      ASSERT_TRUE(array);
      EXPECT_EQ(array->header.size() % 64, 0u);
      std::string_view data(reinterpret_cast<const char *>(array->bytes().data()),
                            array->bytes().size());
      auto back = parse(array->header + std::string(data));
      ASSERT_TRUE(back) << back.status().message();
      EXPECT_EQ(back->describe(), tensor.describe());
    }
}

TEST(Npy, WritesWhatNumPyLacksAsBytes) {
  for (auto [dtype, descr] :
       {std::pair(DType::Int4, "'|i1'"), std::pair(DType::UInt2, "'|u1'"),
        std::pair(DType::Float8E5M2, "'|u1'"), std::pair(DType::Float4E2M1, "'|u1'")}) {
    auto array = toNpy(Tensor::allocate(dtype, {1}).take());
    ASSERT_TRUE(array);
    EXPECT_NE(array->header.find(descr), std::string::npos) << dtypeName(dtype);
  }
  EXPECT_EQ(storedAs(DType::String), DType::String);
}

TEST(Npy, WritesStringsAsUnicode) {
  Tensor strings = Tensor::allocate(DType::String, {2}).take();
  strings.mutableData<std::string>()[0] = "a";
  strings.mutableData<std::string>()[1] = "\xc3\xa9\xf0\x9f\x99\x82\xff"; // é, a smiley, no UTF-8
  auto array = toNpy(strings);
  ASSERT_TRUE(array);
  EXPECT_NE(array->header.find("'descr': '<U3'"), std::string::npos);
  EXPECT_NE(array->header.find("'shape': (2,)"), std::string::npos);
  auto points = array->elements.elementsAs<uint32_t>();
  EXPECT_EQ(std::vector<uint32_t>(points.begin(), points.end()),
            (std::vector<uint32_t>{'a', 0, 0, 0xe9, 0x1f642, 0xfffd}));
}

// NumPy reads no array with a number beyond the last character.
TEST(Npy, WritesNothingButCharacters) {
  Tensor strings = Tensor::allocate(DType::String, {3}).take();
  strings.mutableData<std::string>()[0] = "\xf7\xbf\xbf\xbf";
  strings.mutableData<std::string>()[1] = "\xc0\xaf";
  strings.mutableData<std::string>()[2] = "\xed\xa0\x80";
  auto array = toNpy(strings);
  ASSERT_TRUE(array);
  EXPECT_NE(array->header.find("'descr': '<U1'"), std::string::npos);
  for (uint32_t point : array->elements.elementsAs<uint32_t>())
    EXPECT_EQ(point, 0xfffdu);
}

TEST(Npy, WritesBfloat16AsItsBits) {
  Tensor tensor = Tensor::of<BFloat16>({1}, {BFloat16(1.0f)});
  auto array = toNpy(tensor);
  ASSERT_TRUE(array);
  EXPECT_NE(array->header.find("'<u2'"), std::string::npos);
  EXPECT_EQ(static_cast<const uint16_t *>(array->elements.rawData())[0], 0x3f80);
}
