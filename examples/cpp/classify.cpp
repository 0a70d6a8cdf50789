// Loads a model, compiles it for this CPU, and classifies images in two threads.
//
//     classify MODEL IMAGES.npy LABELS.npy
#include <quern/Model.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

using namespace quern;

/// The elements of a version 1 .npy file, as they lie in it.
template <typename T> static std::vector<T> readNpy(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  if (bytes.size() < 10)
    return {};
  size_t start =
      10 + static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  if (start > bytes.size())
    return {};
  std::vector<T> elements((bytes.size() - start) / sizeof(T));
  std::memcpy(elements.data(), bytes.data() + start, elements.size() * sizeof(T));
  return elements;
}

/// How many of the images from `begin` to `end` are classified right.
static Expected<int64_t> countRight(const CompiledModel &model, const std::vector<float> &images,
                                    const std::vector<int64_t> &labels, int64_t begin,
                                    int64_t end) {
  constexpr int64_t kPixels = 64, kClasses = 10;
  int64_t count = end - begin;
  // A runner has memory of its own: one for each thread.
  QUERN_ASSIGN(std::unique_ptr<Runner> runner, model.createRunner({.threads = 1}));
  // The images are read where they are.
  Tensor inputs[] = {
      Tensor::borrow(DType::Float32, {count, 1, 8, 8}, images.data() + begin * kPixels)};
  QUERN_ASSIGN(std::vector<Tensor> outputs, runner->run(inputs));
  int64_t right = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float *row = outputs[0].data<float>() + i * kClasses;
    right += std::max_element(row, row + kClasses) - row == labels[static_cast<size_t>(begin + i)];
  }
  return right;
}

static Status classify(const char *modelPath, const std::vector<float> &images,
                       const std::vector<int64_t> &labels) {
  QUERN_ASSIGN(Model model, Model::load(modelPath));
  // Threads share what is compiled; it serves any number of images.
  QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled, model.compile());
  int64_t count = static_cast<int64_t>(labels.size());
  Expected<int64_t> first = int64_t{0}, second = int64_t{0};
  std::thread other([&] { second = countRight(*compiled, images, labels, count / 2, count); });
  first = countRight(*compiled, images, labels, 0, count / 2);
  other.join();
  QUERN_TRY(first.status());
  QUERN_TRY(second.status());
  std::printf("%lld of %lld right\n", static_cast<long long>(*first + *second),
              static_cast<long long>(count));
  return Status::ok();
}

int main(int argc, char **argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: classify MODEL IMAGES.npy LABELS.npy\n");
    return 2;
  }
  auto images = readNpy<float>(argv[2]);
  auto labels = readNpy<int64_t>(argv[3]);
  if (labels.empty() || images.size() != labels.size() * 64) {
    std::fprintf(stderr, "wanted images of 64 pixels and as many labels\n");
    return 8;
  }
  Status status = classify(argv[1], images, labels);
  if (!status.isOk())
    std::fprintf(stderr, "%s\n", status.message().c_str());
  return static_cast<int>(status.code());
}
