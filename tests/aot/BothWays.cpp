//===- BothWays.cpp - a model run as a library and with the JIT -----------===//
#include "tests/aot/BothWays.h"

#include "backends/native/aot/AotWeightsFile.h"
#include "tests/FloatElement.h"

#include <cstring>

using namespace quern;
using namespace quern::native;

Expected<BothWays> BothWays::compile(mlir::ModuleOp module, const std::string &folder,
                                     AotOptions options) {
  // A library of a name that is loaded already would not be loaded again.
  static int number = 0;
  BothWays both;
  both.libraryPath = folder + "/both" + std::to_string(number++) + ".so";
  QUERN_ASSIGN(nn::OwnedModule source, nn::copyModule(module));
  options.outputPath = both.libraryPath;
  options.prefix = "m";
  QUERN_TRY(compileToArtifact(module, options));
  QUERN_ASSIGN(std::shared_ptr<Executable> executable,
               compileForJit(std::move(source), CompileOptions()));
  QUERN_ASSIGN(both.jit, executable->createRunner({.threads = 1}));
  both.model = std::make_unique<LoadedModel>(both.libraryPath);
  if (options.weightsInFile) {
    both.weights = std::make_unique<FileInMemory>(weightsPath(both.libraryPath));
    EXPECT_EQ(both.model->useWeights(both.weights->bytes, both.weights->size), QUERN_MODEL_OK);
  }
  return std::move(both);
}

int BothWays::runLibrary(const std::vector<Tensor> &inputs, const quern_model_plan &plan) {
  std::vector<const void *> in;
  std::vector<void *> out;
  for (const Tensor &input : inputs)
    in.push_back(input.rawData());
  found.clear();
  for (int i = 0; i < info().output_count; ++i) {
    const quern_model_port &port = plan.outputs[i];
    Tensor::Dims dims(port.dims, port.dims + port.rank);
    found.push_back(Tensor::allocate(static_cast<DType>(port.dtype), dims).take());
    out.push_back(found.back().mutableRawData());
  }
  std::memset(model->workspace, 0x5a, static_cast<size_t>(info().workspace_bytes) / 64 * 64 + 64);
  return info().size_count > 0
             ? model->runSized(plan.sizes, in.data(), out.data(), model->workspace)
             : model->run(in.data(), out.data(), model->workspace);
}

int BothWays::status(const std::vector<Tensor> &inputs) {
  return runLibrary(inputs, info().plans[0]);
}

Status BothWays::jitStatus(const std::vector<Tensor> &inputs) { return jit->run(inputs).status(); }

static std::string elementText(const Tensor &tensor, int64_t at) {
  return isFloat(tensor.dtype()) ? std::to_string(floatAt(tensor, at)) : "another one";
}

std::string BothWays::difference(const std::vector<Tensor> &inputs, int plan) {
  auto wanted = jit->run(inputs);
  if (!wanted)
    return "JIT: " + wanted.status().message();
  if (int status = runLibrary(inputs, info().plans[plan]))
    return "status " + std::to_string(status);
  auto size = static_cast<size_t>(info().workspace_bytes);
  const auto *bytes = static_cast<const unsigned char *>(model->workspace);
  for (size_t at = size; at < size / 64 * 64 + 64; ++at)
    if (bytes[at] != 0x5a)
      return "byte " + std::to_string(at - size) + " behind the workspace was written";
  for (size_t i = 0; i < found.size(); ++i) {
    if ((*wanted)[i].describe() != found[i].describe())
      return "output " + std::to_string(i) + " is " + found[i].describe() + ", wanted " +
             (*wanted)[i].describe();
    int64_t bytes = dtypeBytes(found[i].dtype());
    for (int64_t at = 0; at < found[i].numElements(); ++at)
      if (std::memcmp(found[i].data<char>() + at * bytes, (*wanted)[i].data<char>() + at * bytes,
                      static_cast<size_t>(bytes)) != 0)
        return "output " + std::to_string(i) + ", element " + std::to_string(at) + ": " +
               elementText(found[i], at) + ", wanted " + elementText((*wanted)[i], at);
  }
  return {};
}
