//===- TfliteFile.cpp - models of TensorFlow Lite -------------------------===//
#include "api/Frontend.h"
#include "frontend/tflite/Inspect.h"
#include "frontend/tflite/TfliteImporter.h"
#include "ir/OwnedModule.h"
#include "runtime/system/FileDescriptor.h"
#include "runtime/system/MappedFile.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

using namespace quern;
using frontend::SourceBytes;

static bool recognises(std::span<const std::byte> head) {
  constexpr size_t kPlace = 4;
  constexpr std::string_view kIdentifier = "TFL3";
  return head.size() >= kPlace + kIdentifier.size() &&
         std::memcmp(head.data() + kPlace, kIdentifier.data(), kIdentifier.size()) == 0;
}

static Expected<SourceBytes> mapFile(const std::string &path) {
  auto file = openRegularFile(path);
  if (!file)
    return file.status().withContext(path);
  auto mapped = MappedFile::map(file->descriptor, file->size);
  if (!mapped)
    return mapped.status().withContext(path);
  std::shared_ptr<const MappedFile> owner = mapped.take();
  return SourceBytes{owner->bytes(), owner, /*isMappedFile=*/true};
}

static ImportedModule loadFile(const std::string &path, mlir::MLIRContext &context,
                               const Limits &limits, std::vector<std::string> &files) {
  QUERN_ASSIGN(SourceBytes bytes, mapFile(path));
  files = {path};
  return tflite::importTflite(std::move(bytes), path, context, limits);
}

static ImportedModule loadBytes(const ModelBytes &model, mlir::MLIRContext &context,
                                const Limits &limits) {
  SourceBytes bytes{model.bytes, model.owner};
  if (!bytes.owner) {
    auto copy = std::make_shared<std::vector<std::byte>>(bytes.bytes.begin(), bytes.bytes.end());
    bytes = {*copy, copy};
  }
  return tflite::importTflite(std::move(bytes), model.name, context, limits);
}

/// Also of an input of which nothing is said, what its integers stand for.
static ImageOptions imageOptionsOf(const tflite::ImageFacts &image) {
  ImageOptions options;
  if (image.height > 0)
    options.height = image.height;
  if (image.width > 0)
    options.width = image.width;
  if (image.isImage)
    options.colors = image.isGray ? ImageColors::Gray : ImageColors::Rgb;
  if (image.hasNormalization)
    options.numbers = PixelNumbers{.scale = 1,
                                   .mean = {image.mean.begin(), image.mean.end()},
                                   .deviation = {image.deviation.begin(), image.deviation.end()}};
  if (image.scale && *image.scale > 0)
    options.quantization = PixelQuantization{*image.scale, image.zeroPoint};
  return options;
}

static Expected<ModelFacts> factsOf(SourceBytes bytes, const Limits &limits) {
  QUERN_ASSIGN(tflite::FileFacts found, tflite::inspect(std::move(bytes), limits));
  ModelFacts facts;
  facts.description = std::move(found.description);
  facts.format = "TensorFlow Lite";
  facts.irVersion = found.version;
  for (std::string &name : found.metadata)
    facts.metadata.emplace_back(std::move(name), "");
  for (const tflite::ImageFacts &image : found.described.images)
    facts.images.emplace(image.input, imageOptionsOf(image));
  for (tflite::LabelFile &labels : found.described.labels)
    facts.labelFiles.emplace_back(std::move(labels.output), std::move(labels.file));
  facts.inputs = std::move(found.inputs);
  facts.outputs = std::move(found.outputs);
  std::map<std::string, int64_t> counts;
  for (const std::string &op : found.ops)
    ++counts[op];
  facts.ops.assign(counts.begin(), counts.end());
  std::ranges::sort(facts.ops, [](const auto &a, const auto &b) {
    return std::tie(b.second, a.first) < std::tie(a.second, b.first);
  });
  facts.nodes = static_cast<int64_t>(found.ops.size());
  facts.initializers = found.constants;
  facts.parameters = found.parameters;
  return facts;
}

static Expected<ModelFacts> inspectFile(const std::string &path, const Limits &limits) {
  QUERN_ASSIGN(SourceBytes bytes, mapFile(path));
  auto facts = factsOf(std::move(bytes), limits);
  if (!facts)
    return facts.status().withContext(path);
  facts->files = {path};
  return facts;
}

static Expected<ModelFacts> inspectBytes(std::span<const std::byte> bytes, const Limits &limits) {
  auto facts = factsOf({.bytes = bytes, .owner = nullptr}, limits);
  return facts ? std::move(facts) : facts.status().withContext("model");
}

static Expected<std::vector<std::string>> findFiles(const std::string &path,
                                                    const Limits & /*limits*/) {
  return std::vector<std::string>{path};
}

/// They are among the problems.
static Expected<std::vector<UnsupportedOp>> unsupportedOpsIn(const std::string & /*path*/,
                                                             const Limits & /*limits*/) {
  return std::vector<UnsupportedOp>();
}

static Expected<std::vector<ModelProblem>> findProblems(const std::string &path,
                                                        const Limits &limits) {
  QUERN_ASSIGN(SourceBytes bytes, mapFile(path));
  nn::OwnedModule source = nn::OwnedModule::create();
  std::vector<frontend::ImportProblem> found;
  auto module = tflite::importTflite(std::move(bytes), path, *source.context, limits, &found);
  if (!module && found.empty())
    return module.status();
  std::vector<ModelProblem> problems;
  for (frontend::ImportProblem &problem : found)
    problems.push_back({problem.code, std::move(problem.node), std::move(problem.op),
                        problem.version, std::move(problem.message)});
  return problems;
}

const Frontend &quern::tfliteFrontend() {
  static constexpr Frontend frontend = {recognises,   loadFile,  loadBytes,        inspectFile,
                                        inspectBytes, findFiles, unsupportedOpsIn, findProblems};
  return frontend;
}
