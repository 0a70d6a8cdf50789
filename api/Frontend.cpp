//===- Frontend.cpp - the formats that models come in ---------------------===//
#include "api/Frontend.h"

#include "runtime/system/FileDescriptor.h"

#include <array>

using namespace quern;

const Frontend &quern::frontendOf(std::span<const std::byte> bytes) {
  for (const Frontend *frontend : {&tfliteFrontend()})
    if (frontend->recognises(bytes))
      return *frontend;
  return onnxFrontend();
}

const Frontend &quern::frontendOf(const std::string &path) {
  std::array<char, 64> head = {};
  auto file = openRegularFile(path);
  auto size = file ? std::min<size_t>(head.size(), static_cast<size_t>(file->size)) : 0;
  if (!file || !readAll(file->descriptor.get(), std::span(head).first(size)))
    return onnxFrontend();
  return frontendOf(std::as_bytes(std::span(head).first(size)));
}

Expected<ModelFacts> quern::inspectModelFile(const std::string &path, const Limits &limits) {
  return frontendOf(path).inspectFile(path, limits);
}

Expected<ModelFacts> quern::inspectModelBytes(std::span<const std::byte> bytes,
                                              const Limits &limits) {
  return frontendOf(bytes).inspectBytes(bytes, limits);
}

Expected<std::vector<std::string>> quern::findModelFiles(const std::string &path,
                                                         const Limits &limits) {
  return frontendOf(path).findFiles(path, limits);
}

Expected<std::vector<UnsupportedOp>> quern::findUnsupportedOps(const std::string &path,
                                                               const Limits &limits) {
  return frontendOf(path).findUnsupportedOps(path, limits);
}

Expected<std::vector<ModelProblem>> quern::findModelProblems(const std::string &path,
                                                             const Limits &limits) {
  return frontendOf(path).findProblems(path, limits);
}
