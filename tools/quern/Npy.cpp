//===- Npy.cpp - NumPy's array format -------------------------------------===//
#include "tools/quern/Npy.h"

#include "quern/Utf8.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <optional>
#include <string_view>
#include <vector>

using namespace quern;
using namespace quern::cli;

namespace {
struct TypeRow {
  DType dtype;
  std::string_view descr;
};
/// The byte order '<' stands for '|' too, where it does not matter.
constexpr TypeRow kTypes[] = {
    {DType::Bool, "|b1"},      {DType::Int8, "|i1"},       {DType::UInt8, "|u1"},
    {DType::Int16, "<i2"},     {DType::UInt16, "<u2"},     {DType::Int32, "<i4"},
    {DType::UInt32, "<u4"},    {DType::Int64, "<i8"},      {DType::UInt64, "<u8"},
    {DType::Float16, "<f2"},   {DType::Float32, "<f4"},    {DType::Float64, "<f8"},
    {DType::Complex64, "<c8"}, {DType::Complex128, "<c16"}};

constexpr std::string_view kMagic = "\x93NUMPY";

struct Header {
  std::string_view descr;
  bool fortranOrder = false;
  Tensor::Dims dims;
};

/// Reads the Python dictionary of a header:
/// {'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : rest(text) {}

  std::optional<Header> parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    if (!accept("{"))
      return std::nullopt;
    while (!accept("}")) {
      std::string_view key;
      if (!parseString(key) || !accept(":"))
        return std::nullopt;
      bool *seen = key == "descr" ? &descr : key == "fortran_order" ? &order : &shape;
      if (*seen || !parseValue(key, header))
        return std::nullopt;
      *seen = true;
      if (!accept(",") && !rest.starts_with('}'))
        return std::nullopt;
    }
    skipSpace();
    return rest.empty() && descr && order && shape ? std::optional(header) : std::nullopt;
  }

private:
  bool parseValue(std::string_view key, Header &header) {
    if (key == "descr")
      return parseString(header.descr);
    if (key == "shape")
      return parseShape(header.dims);
    if (key != "fortran_order")
      return false;
    header.fortranOrder = accept("True");
    return header.fortranOrder || accept("False");
  }

  void skipSpace() { rest.remove_prefix(std::min(rest.find_first_not_of(" \n"), rest.size())); }

  bool accept(std::string_view token) {
    skipSpace();
    if (!rest.starts_with(token))
      return false;
    rest.remove_prefix(token.size());
    skipSpace();
    return true;
  }

  bool parseString(std::string_view &value) {
    skipSpace();
    if (!rest.starts_with('\'') && !rest.starts_with('"'))
      return false;
    size_t end = rest.find(rest.front(), 1);
    if (end == std::string_view::npos)
      return false;
    value = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    return true;
  }

  bool parseShape(Tensor::Dims &dims) {
    if (!accept("("))
      return false;
    while (!accept(")")) {
      int64_t size = 0;
      auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
      if (error != std::errc() || size < 0)
        return false;
      dims.push_back(size);
      rest.remove_prefix(static_cast<size_t>(end - rest.data()));
      if (!accept(",") && !rest.starts_with(')'))
        return false;
    }
    return true;
  }

  std::string_view rest;
};

/// The header's text and where the elements start.
struct Prologue {
  std::string_view text;
  size_t dataOffset;
};

Expected<Prologue> findHeader(std::span<const std::byte> bytes) {
  std::string_view all(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (!all.starts_with(kMagic))
    return invalidInput("not a .npy file");
  constexpr size_t kVersion = kMagic.size();
  int major = all.size() > kVersion ? all[kVersion] : 0;
  size_t lengthBytes = major == 1 ? 2 : 4;
  if (major < 1 || major > 3)
    return invalidInput(fmt::format(".npy format version {} is unknown", major));
  size_t start = kVersion + 2 + lengthBytes;
  if (all.size() < start)
    return invalidInput("the .npy file is cut off in its header");
  size_t length = 0;
  for (size_t i = 0; i < lengthBytes; ++i)
    length |= size_t{static_cast<unsigned char>(all[kVersion + 2 + i])} << (8 * i);
  if (length > all.size() - start)
    return invalidInput("the .npy file is cut off in its header");
  return Prologue{all.substr(start, length), start + length};
}

Expected<DType> typeOf(std::string_view descr) {
  std::string text(descr);
  if (descr.size() == 3 &&
      (descr.substr(1) == "i1" || descr.substr(1) == "u1" || descr.substr(1) == "b1"))
    text[0] = '|';
  else if (descr.starts_with('='))
    text[0] = '<';
  for (const TypeRow &row : kTypes)
    if (row.descr == text)
      return row.dtype;
  return invalidInput(
      "NumPy type '" + std::string(descr) +
      "' is not supported; use a little-endian bool, integer, float or Unicode type");
}

/// Copies column-major elements of `width` bytes to row-major order.
void transposeElements(const std::byte *from, std::byte *to, const Tensor::Dims &dims,
                       int64_t width) {
  int64_t count = CheckedSize::product(dims).value();
  std::vector<int64_t> index(dims.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = 0;
    for (size_t d = dims.size(); d-- > 0;)
      offset = offset * dims[d] + index[d];
    std::memcpy(to + i * width, from + offset * width, static_cast<size_t>(width));
    for (size_t d = dims.size(); d-- > 0 && ++index[d] == dims[d];)
      index[d] = 0;
  }
}
/// Refuses an array whose elements, of `bytesPerElement`, are not `data`.
Status requireBytes(std::string_view type, const Header &header, CheckedSize bytesPerElement,
                    std::span<const std::byte> data) {
  CheckedSize size = CheckedSize::product(header.dims) * bytesPerElement;
  if (size.valid() && size.value() == static_cast<int64_t>(data.size()))
    return Status::ok();
  return invalidInput(fmt::format(
      "an array of {} {} needs {} bytes, the .npy file has {}", type, formatDims(header.dims),
      size.valid() ? std::to_string(size.value()) : "too many", data.size()));
}

/// How many characters a string of NumPy's fixed-width Unicode has.
std::optional<int64_t> unicodeWidth(std::string_view descr) {
  if (!descr.starts_with("<U") && !descr.starts_with("=U"))
    return std::nullopt;
  int64_t width = 0;
  const char *last = descr.data() + descr.size();
  auto [end, error] = std::from_chars(descr.data() + 2, last, width);
  bool valid = error == std::errc() && end == last && width >= 0;
  return valid ? std::optional(width) : std::nullopt;
}

/// Strings of `width` characters, filled up with zeros that do not count.
Expected<Tensor> parseStrings(const Header &header, int64_t width, std::span<const std::byte> data,
                              const Limits &limits) {
  constexpr int64_t kPointBytes = 4;
  CheckedSize stringBytes = CheckedSize(width) * CheckedSize(kPointBytes);
  QUERN_TRY(
      requireBytes(fmt::format("strings of {} characters", width), header, stringBytes, data));
  QUERN_ASSIGN(Tensor tensor, Tensor::allocate(DType::String, header.dims, limits));
  std::vector<std::byte> rows(data.begin(), data.end());
  if (header.fortranOrder)
    transposeElements(data.data(), rows.data(), header.dims, stringBytes.value());
  auto *texts = tensor.mutableData<std::string>();
  for (int64_t i = 0; i < tensor.numElements(); ++i) {
    std::u32string points(static_cast<size_t>(width), U'\0');
    if (width > 0)
      std::memcpy(points.data(), rows.data() + i * stringBytes.value(),
                  static_cast<size_t>(stringBytes.value()));
    while (!points.empty() && points.back() == 0)
      points.pop_back();
    for (char32_t point : points)
      if (!isCharacter(point))
        return invalidInput(fmt::format("string {} has {:#x}, which is no character", i,
                                        static_cast<uint32_t>(point)));
    texts[i] = encodeUtf8(points);
  }
  return tensor;
}
} // namespace

Expected<Tensor> cli::parseNpy(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                               const Limits &limits) {
  QUERN_ASSIGN(Prologue prologue, findHeader(bytes));
  std::optional<Header> header = HeaderParser(prologue.text).parse();
  if (!header)
    return invalidInput("the header of the .npy file is malformed");
  if (static_cast<int64_t>(header->dims.size()) > limits.maxRank)
    return resourceLimit(fmt::format("the array has {} dimensions, the limit is {}",
                                     header->dims.size(), limits.maxRank));
  auto data = bytes.subspan(prologue.dataOffset);
  if (std::optional<int64_t> width = unicodeWidth(header->descr))
    return parseStrings(*header, *width, data, limits);
  QUERN_ASSIGN(DType dtype, typeOf(header->descr));
  QUERN_TRY(requireBytes(dtypeName(dtype), *header, CheckedSize(dtypeBytes(dtype)), data));
  bool aligned = reinterpret_cast<uintptr_t>(data.data()) % 16 == 0;
  if (owner && aligned && !header->fortranOrder && dtype != DType::Bool)
    return Tensor::borrow(dtype, std::move(header->dims), data.data(), std::move(owner));

  QUERN_ASSIGN(Tensor tensor, Tensor::allocateUninitialized(dtype, header->dims, limits));
  auto *out = static_cast<std::byte *>(tensor.mutableRawData());
  if (header->fortranOrder)
    transposeElements(data.data(), out, header->dims, dtypeBytes(dtype));
  else if (!data.empty())
    std::memcpy(out, data.data(), data.size());
  if (dtype == DType::Bool) // any other byte is no value of a C++ bool
    for (int64_t i = 0; i < tensor.numElements(); ++i)
      out[i] = std::byte{out[i] != std::byte{0}};
  return tensor;
}

static std::string npyHeader(std::string_view descr, std::span<const int64_t> dims) {
  std::string text = "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (";
  // A Python tuple: "()", "(3,)", "(1, 3)".
  for (size_t d = 0; d < dims.size(); ++d)
    text += (d ? " " : "") + std::to_string(dims[d]) + (d + 1 < dims.size() ? "," : "");
  text += dims.size() == 1 ? ",), }" : "), }";
  constexpr size_t kAlignment = 64;
  size_t fixed = kMagic.size() + 4;
  text.append(kAlignment - 1 - (fixed + text.size()) % kAlignment, ' ');
  text += '\n';
  std::string header(kMagic);
  header +=
      {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

/// UCS-4 characters, every string as wide as the longest.
static Expected<NpyArray> stringsToNpy(const Tensor &tensor) {
  std::vector<std::u32string> strings;
  size_t width = 1;
  for (const std::string &text : tensor.elementsAs<std::string>()) {
    strings.push_back(decodeUtf8(text));
    width = std::max(width, strings.back().size());
  }
  QUERN_ASSIGN(Tensor elements, Tensor::allocate(DType::UInt32, {tensor.numElements(),
                                                                 static_cast<int64_t>(width)}));
  for (size_t i = 0; i < strings.size(); ++i)
    std::copy(strings[i].begin(), strings[i].end(), elements.mutableData<uint32_t>() + i * width);
  return NpyArray{npyHeader(fmt::format("<U{}", width), tensor.dims()), std::move(elements)};
}

DType cli::storedAs(DType dtype) {
  if (dtype == DType::BFloat16)
    return DType::UInt16;
  if (isMiniFloat(dtype))
    return DType::UInt8;
  bool isSmall = dtype != DType::String && dtypeBits(dtype) < 8;
  if (isSmall && isSignedInteger(dtype))
    return DType::Int8;
  return isSmall && isUnsignedInteger(dtype) ? DType::UInt8 : dtype;
}

Expected<NpyArray> cli::toNpy(const Tensor &tensor) {
  if (tensor.dtype() == DType::String)
    return stringsToNpy(tensor);
  DType stored = storedAs(tensor.dtype());
  for (const TypeRow &row : kTypes)
    if (row.dtype == stored)
      return NpyArray{npyHeader(row.descr, tensor.dims()), tensor};
  return unsupported("NumPy has no type for " + std::string(dtypeName(tensor.dtype())));
}
