//===- RandomModels.cpp - large runs of random models ---------------------===//
#include "tests/random/ModelCheck.h"

#include "frontend/onnx/TensorData.h"
#include "tests/native/TileEmulator.h"

#include "llvm/Support/CommandLine.h"

#include <cstdio>
#include <filesystem>
#include <fstream>

using namespace quern;
using namespace quern::random;
namespace fs = std::filesystem;

namespace {
/// `tensor` as ONNX's test data sets hold it.
bool writeTensor(const fs::path &path, const std::string &name, const Tensor &tensor) {
  quern::onnx::proto::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(static_cast<int>(tensor.dtype()));
  for (int64_t dim : tensor.dims())
    proto.add_dims(dim);
  proto.set_raw_data(tensor.rawData(), static_cast<size_t>(tensor.numBytes()));
  std::ofstream file(path, std::ios::binary);
  return proto.SerializeToOstream(&file) && file.flush();
}

/// The model, its inputs, the interpreter's outputs and the errors they may have.
bool writeCase(const fs::path &folder, const RandomModel &model,
               const std::vector<Tensor> &outputs) {
  fs::create_directories(folder);
  std::ofstream file(folder / "model.onnx", std::ios::binary), errors(folder / "errors.txt");
  bool written = model.model.SerializeToOstream(&file) && file.flush();
  for (size_t i = 0; i < model.inputs.size(); ++i)
    written &= writeTensor(folder / ("input_" + std::to_string(i) + ".pb"), model.inputNames[i],
                           model.inputs[i]);
  for (size_t i = 0; i < outputs.size(); ++i) {
    written &= writeTensor(folder / ("output_" + std::to_string(i) + ".pb"), model.outputs[i].name,
                           outputs[i]);
    errors << model.outputs[i].name << " " << model.outputs[i].error << "\n";
  }
  return written && errors.flush();
}
} // namespace

namespace cl = llvm::cl;
static cl::OptionCategory category("Options");
static cl::opt<uint64_t> first("seed", cl::desc("The first model's seed"), cl::init(0),
                               cl::cat(category));
static cl::opt<uint64_t> count("count", cl::desc("How many models"), cl::init(1000),
                               cl::cat(category));
static cl::opt<bool> all("all", cl::desc("Every level on every target, instead of five of them"),
                         cl::cat(category));
static cl::opt<bool> once("once", cl::desc("One level on one target for each model"),
                          cl::cat(category));
static cl::opt<bool> interpretOnly("interpret",
                                   cl::desc("Only interpret them, for comparisons with others"),
                                   cl::cat(category));
static cl::opt<bool> keepGoing("keep-going", cl::desc("Go on after a model that differs"),
                               cl::cat(category));
static cl::opt<bool> quantized("quantized", cl::desc("Only models of quantized tensors"),
                               cl::cat(category));
static cl::opt<bool> tiles("tiles",
                           cl::desc("Code for this machine multiplies tiles of matrices "
                                    "(AMX), by emulation if it has none"),
                           cl::cat(category));
static cl::opt<std::string>
    writeTo("write", cl::desc("Write each model with its inputs and outputs into this folder"),
            cl::value_desc("folder"), cl::cat(category));

int main(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "Draws random ONNX models and compares them compiled, in several ways, with the\n"
      "interpreter. Prints each model that differs, reduced; exit code 1 when one does.\n");
  std::optional<native::TileEmulator> emulator;
  if (tiles)
    emulator.emplace();
  DrawMix mix = quantized ? DrawMix::Quantized : DrawMix::Usual;
  ModelCheck check;
  uint64_t wrongModels = 0, ops = 0, done = 0;
  for (uint64_t seed = first; seed < first + count; ++seed, ++done) {
    if (done % 1000 == 999)
      check.dropKernels();
    auto configs = all.getValue()    ? ModelCheck::allConfigs()
                   : once.getValue() ? ModelCheck::oneConfig(seed)
                                     : ModelCheck::usualConfigs(seed);
    if (interpretOnly)
      configs.clear();
    std::string wrong = checkSeed(check, seed, configs, mix);
    if (done % 100 == 99)
      std::fprintf(stderr, "%llu of %llu models\n", static_cast<unsigned long long>(done + 1),
                   static_cast<unsigned long long>(count.getValue()));
    RandomModel model = drawModel(seed, kAllOps, mix);
    ops += static_cast<uint64_t>(model.ops);
    if (!wrong.empty()) {
      ++wrongModels;
      std::printf("%s\n", wrong.c_str());
      std::fflush(stdout);
      if (!keepGoing)
        break;
      continue;
    }
    if (!writeTo.empty() && !writeCase(fs::path(writeTo.getValue()) / std::to_string(seed), model,
                                       check.interpreted())) {
      std::fprintf(stderr, "cannot write into %s\n", writeTo.c_str());
      return 10;
    }
  }
  std::fprintf(stderr, "%llu models of %llu ops, %llu differ\n",
               static_cast<unsigned long long>(done), static_cast<unsigned long long>(ops),
               static_cast<unsigned long long>(wrongModels));
  if (const StepCount &steps = check.steps(); steps.compared > 0)
    std::fprintf(stderr,
                 "one step off, where that is right: %lld of %lld integers, in %lld of %lld "
                 "models\n",
                 static_cast<long long>(steps.off), static_cast<long long>(steps.compared),
                 static_cast<long long>(steps.modelsOff), static_cast<long long>(steps.models));
  return wrongModels == 0 ? 0 : 1;
}
