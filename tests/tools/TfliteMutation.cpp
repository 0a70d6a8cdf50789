//===- TfliteMutation.cpp - damaged models of TensorFlow Lite -------------===//
//
// Changed bytes mostly end at the verifier, or are in weights. So the numbers that say something
// are found, and changed where they stand: nothing moves, and offsets stay what they are unless it
// is them that change.
//
//===----------------------------------------------------------------------===//
#include "tests/tools/TfliteMutation.h"

#include "frontend/tflite/model.h"
#include "tests/tools/ModelMutation.h"

#include <cstring>
#include <limits>
#include <vector>

using namespace quern::test;
namespace file = quern::tflite::file;

namespace {
/// A number in the file: where it is, and of how many bytes.
struct Site {
  size_t at, width;
};

class Sites {
public:
  explicit Sites(const std::string &bytes) : bytes(bytes) {}

  /// What tables, vectors and strings are made of, offsets among them, but no weights.
  std::vector<Site> structure() const;
  /// What an importer reads once the file is verified.
  std::vector<Site> meanings();

private:
  void addOp(const file::Operator &op);
  void addTensor(const file::Tensor &tensor);
  template <typename T> void addVector(const flatbuffers::Vector<T> *vector);
  template <typename Table> void addTable(const Table *table);
  void add(const void *address, size_t width);

  const std::string &bytes;
  std::vector<Site> found;
};
} // namespace

void Sites::add(const void *address, size_t width) {
  size_t at = static_cast<size_t>(static_cast<const char *>(address) - bytes.data());
  if (at < bytes.size() && width <= bytes.size() - at)
    found.push_back({at, width});
}

template <typename T> void Sites::addVector(const flatbuffers::Vector<T> *vector) {
  constexpr uint32_t kMost = 64;
  for (uint32_t i = 0; vector && i < std::min(vector->size(), kMost); ++i)
    add(vector->Data() + i * sizeof(T), sizeof(T));
}

/// Its fields as they lie behind each other, whatever they are.
template <typename Table> void Sites::addTable(const Table *table) {
  if (!table)
    return;
  const auto *begin = reinterpret_cast<const uint8_t *>(table);
  const uint8_t *fields = begin - flatbuffers::ReadScalar<flatbuffers::soffset_t>(begin);
  auto size = flatbuffers::ReadScalar<flatbuffers::voffset_t>(fields + sizeof(uint16_t));
  for (size_t at = sizeof(flatbuffers::soffset_t); at + sizeof(int32_t) <= size;
       at += sizeof(int32_t))
    add(begin + at, sizeof(int32_t));
}

void Sites::addOp(const file::Operator &op) {
  // Kind and tensors twice: they matter most.
  for (int i = 0; i < 2; ++i) {
    addVector(op.inputs());
    addVector(op.outputs());
    addTable(&op);
  }
  addTable(op.options());
  addVector(op.custom_options());
}

void Sites::addTensor(const file::Tensor &tensor) {
  addVector(tensor.shape());
  addVector(tensor.shape_signature());
  addTable(&tensor);
  if (const file::Quantization *quantization = tensor.quantization()) {
    addTable(quantization);
    addVector(quantization->scale());
    addVector(quantization->zero_point());
  }
}

std::vector<Site> Sites::meanings() {
  const file::Model *model = file::GetModel(bytes.data());
  if (model->codes())
    for (const file::OperatorCode *code : *model->codes())
      addTable(code);
  for (uint32_t i = 0; model->subgraphs() && i < model->subgraphs()->size(); ++i) {
    const file::SubGraph &graph = *model->subgraphs()->Get(i);
    addVector(graph.inputs());
    addVector(graph.outputs());
    if (graph.operators())
      for (const file::Operator *op : *graph.operators())
        addOp(*op);
    if (graph.tensors())
      for (const file::Tensor *tensor : *graph.tensors())
        addTensor(*tensor);
  }
  constexpr uint32_t kFew = 64;
  if (model->buffers())
    for (const file::Buffer *buffer : *model->buffers())
      if (buffer->data() && buffer->data()->size() <= kFew)
        addVector(buffer->data());
  return std::move(found);
}

std::vector<Site> Sites::structure() const {
  constexpr uint32_t kFew = 64;
  std::vector<bool> isWeight(bytes.size());
  if (const auto *buffers = file::GetModel(bytes.data())->buffers())
    for (const file::Buffer *buffer : *buffers)
      if (const auto *data = buffer->data(); data && data->size() > kFew) {
        auto begin =
            static_cast<size_t>(reinterpret_cast<const char *>(data->data()) - bytes.data());
        std::fill_n(isWeight.begin() + static_cast<ptrdiff_t>(begin), data->size(), true);
      }
  std::vector<Site> words;
  for (size_t at = 0; at + sizeof(int32_t) <= bytes.size(); at += sizeof(int32_t))
    if (!isWeight[at])
      words.push_back({at, sizeof(int32_t)});
  return words;
}

/// A number that is near what is there, telling, taken from elsewhere, or any.
static int64_t changed(int64_t old, const std::string &bytes, const std::vector<Site> &sites,
                       std::mt19937 &random) {
  constexpr int64_t kTelling[] = {0,
                                  1,
                                  -1,
                                  2,
                                  3,
                                  127,
                                  255,
                                  1 << 16,
                                  std::numeric_limits<int32_t>::max(),
                                  std::numeric_limits<int32_t>::min(),
                                  0x7f800000,
                                  0x7fc00000};
  switch (random() % 5) {
  case 0:
    return old + static_cast<int64_t>(random() % 9) - 4;
  case 1:
    return kTelling[random() % std::size(kTelling)];
  case 2: {
    const Site &other = sites[random() % sites.size()];
    int64_t taken = 0;
    std::memcpy(&taken, bytes.data() + other.at, other.width);
    return taken;
  }
  case 3:
    return old ^ (int64_t{1} << random() % 32);
  default:
    return static_cast<int64_t>(random() % 210);
  }
}

std::string quern::test::mutateTflite(std::string bytes, std::mt19937 &random) {
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  if (random() % 16 == 0 || bytes.size() < 8 || !file::VerifyModelBuffer(verifier))
    return mutateBytes(std::move(bytes), random);
  std::vector<Site> sites = random() % 4 == 0 ? Sites(bytes).structure() : Sites(bytes).meanings();
  if (sites.empty())
    return mutateBytes(std::move(bytes), random);
  // One change half of the time, two a quarter of it.
  for (bool isMore = true; isMore; isMore = random() % 2 == 0) {
    const Site &site = sites[random() % sites.size()];
    int64_t value = 0;
    std::memcpy(&value, bytes.data() + site.at, site.width);
    value = changed(value, bytes, sites, random);
    // A byte within it, or all of it.
    size_t width = random() % 3 == 0 ? 1 : site.width;
    std::memcpy(bytes.data() + site.at, &value, width);
  }
  return bytes;
}
