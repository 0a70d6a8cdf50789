//===- CpuFeaturesTest.cpp - what targets need of a machine ---------------===//
#include "backends/native/aot/AotCpuCheck.h"
#include "backends/native/codegen/MachinePeak.h"
#include "backends/native/target/X86Features.h"
#include "tests/native/GraphCheck.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
class CpuFeaturesTest : public testing::Test {
protected:
  void SetUp() override {
    auto target = resolveTarget("baseline");
    ASSERT_TRUE(target);
    baseline = *target;
    auto created = createTargetMachine(baseline);
    ASSERT_TRUE(created);
    machine = created.take();
  }

  /// A CPU that this machine is not: no CPU has both XOP and AVX-512 FP16.
  std::string otherCpu() const {
    return missingOnThisCpu({"xop"}).empty() ? "sapphirerapids" : "bdver2";
  }
  std::string otherFeature() const { return otherCpu() == "bdver2" ? "xop" : "avx512fp16"; }

  Target baseline;
  std::unique_ptr<llvm::TargetMachine> machine;
};
} // namespace

TEST_F(CpuFeaturesTest, EveryCpuIsUnderstood) {
  size_t understood = 0;
  for (const auto &cpu : machine->getMCSubtargetInfo()->getAllProcessorDescriptions()) {
    auto target = resolveTarget(cpu.Key);
    if (!target) {
      EXPECT_EQ(target.status().code(), StatusCode::Usage) << cpu.Key;
      EXPECT_NE(target.status().message().find("64-bit"), std::string::npos) << cpu.Key;
      continue;
    }
    auto required = requiredCpuFeatures(*target);
    EXPECT_TRUE(required) << required.status().message();
    ++understood;
  }
  EXPECT_GE(understood, 80u);
}

TEST_F(CpuFeaturesTest, NamesOfCpusImplyWhatTheyShould) {
  auto required = [](const char *cpu) {
    auto features = requiredCpuFeatures(*resolveTarget(cpu));
    std::sort(features->begin(), features->end());
    return features.take();
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(required("baseline"), Names());
  EXPECT_EQ(required("x86-64-v3"),
            (Names{"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sahf",
                   "sse3", "sse4.1", "sse4.2", "ssse3"}));
  Names server = required("sapphirerapids");
  for (const char *name : {"amx-bf16", "amx-int8", "amx-tile", "avx512f", "avx512fp16", "avxvnni"})
    EXPECT_TRUE(std::binary_search(server.begin(), server.end(), name)) << name;
  for (const char *name : {"aes", "fast-gather"})
    EXPECT_FALSE(std::binary_search(server.begin(), server.end(), name)) << name;
}

TEST_F(CpuFeaturesTest, WhateverLlvmFindsInAMachineIsUnderstood) {
  for (const auto &feature : llvm::sys::getHostCPUFeatures()) {
    baseline.features = "+" + feature.first().str();
    auto required = requiredCpuFeatures(baseline);
    EXPECT_TRUE(required) << required.status().message();
  }
}

TEST_F(CpuFeaturesTest, UnknownFeaturesAreRefused) {
  // Memory operands that need not be aligned, if a mode bit is set.
  baseline.features = "+sse-unaligned-mem";
  auto required = requiredCpuFeatures(baseline);
  ASSERT_FALSE(required);
  EXPECT_EQ(required.status().code(), StatusCode::Unsupported);
  EXPECT_NE(required.status().message().find("sse-unaligned-mem"), std::string::npos);
  EXPECT_EQ(checkRunsHere(baseline).code(), StatusCode::Unsupported);
  EXPECT_EQ(missingOnThisCpu({"sse-unaligned-mem"}), std::vector<std::string>{"sse-unaligned-mem"});
}

TEST_F(CpuFeaturesTest, AgreesWithLlvmOnThisMachine) {
  size_t compared = 0;
  for (const auto &feature : llvm::sys::getHostCPUFeatures()) {
    std::string name = feature.first().str();
    if (!findCpuidFeature(name))
      continue;
    EXPECT_EQ(missingOnThisCpu({name}).empty(), feature.second) << name;
    ++compared;
  }
  EXPECT_GE(compared, 35u);
  EXPECT_TRUE(checkRunsHere(*resolveTarget("host")).isOk());
  EXPECT_TRUE(checkRunsHere(baseline).isOk());
}

TEST_F(CpuFeaturesTest, NothingIsRunThatWouldBeIllegal) {
  Graph graph;
  graph.output(graph.op("nn.relu", {graph.input("3xf32")}));
  CompileOptions options;
  options.targetCpu = otherCpu();
  Target target = *resolveTarget(otherCpu());
  for (const Status &status : {compileForTest(graph, options).status(),
                               Jit::create(target).status(), measurePeaks(target).status()}) {
    EXPECT_EQ(status.code(), StatusCode::Incompatible);
    EXPECT_NE(status.message().find(otherFeature()), std::string::npos) << status.message();
    EXPECT_NE(status.message().find(otherCpu()), std::string::npos) << status.message();
  }
}

/// What the check in an artefact that needs `features` answers here.
static int answerOfCheck(llvm::TargetMachine &machine, const std::vector<std::string> &features) {
  llvm::LLVMContext context;
  llvm::Module module("check", context);
  module.setTargetTriple(machine.getTargetTriple().str());
  module.setDataLayout(machine.createDataLayout());
  emitCpuCheck(module, "cpu_ok", features);
  auto object = emitObject(module, machine);
  auto jit = Jit::create(*resolveTarget("baseline"));
  EXPECT_TRUE(jit && object && (*jit)->addObject(*object).isOk());
  auto function = (*jit)->lookup("cpu_ok");
  EXPECT_TRUE(function);
  return reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(*function))();
}

TEST_F(CpuFeaturesTest, ArtefactsAskTheSame) {
  EXPECT_EQ(answerOfCheck(*machine, {}), 1);
  EXPECT_EQ(answerOfCheck(*machine, *requiredCpuFeatures(*resolveTarget("host"))), 1);
  for (const auto &feature : machine->getMCSubtargetInfo()->getAllProcessorFeatures())
    if (findCpuidFeature(feature.Key))
      EXPECT_EQ(answerOfCheck(*machine, {feature.Key}), missingOnThisCpu({feature.Key}).empty())
          << feature.Key;
  EXPECT_EQ(answerOfCheck(*machine, {"frobnication"}), 0);
}
