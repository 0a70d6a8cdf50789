//===- MachineRatesTest.cpp -----------------------------------------------===//
#include "quern/MachineRates.h"

#include "Models.h"
#include "quern/Version.h"

#include <algorithm>

using namespace quern;
using namespace quern::test;

namespace {
/// A machine that there is nothing to say of.
struct MachineWarnings : testing::Test {
  MachineWarnings() {
    machine.affinityCpus = machine.affinityCores = machine.usableCpus = 4;
    machine.memoryBytes = int64_t{8} << 30;
    cpu.triple = "x86_64-pc-linux-gnu";
    cpu.features = {"avx2", "fma"};
  }
  /// The names of the warnings.
  std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const std::string &warning : findMachineWarnings(machine, cpu, rates))
      found.push_back(warning.substr(0, warning.find(": ")));
    std::erase(found, "slow-build");
    return found;
  }
  using Names = std::vector<std::string>;

  Machine machine;
  HostCpu cpu;
  MachineRates rates;
};
} // namespace

TEST_F(MachineWarnings, NoneOfAQuietMachine) { EXPECT_EQ(names(), Names()); }

TEST_F(MachineWarnings, CpusAndMemory) {
  machine.quotaCpus = 2;
  machine.usableCpus = 2;
  machine.affinityCores = 1;
  machine.memoryLimitBytes = 500 << 20;
  EXPECT_EQ(names(), (Names{"cpu-quota", "shared-cores", "little-memory"}));
  machine.quotaCpus = 1;
  machine.usableCpus = 1;
  EXPECT_EQ(names(), (Names{"cpu-quota", "one-cpu", "little-memory"}));
}

TEST_F(MachineWarnings, Instructions) {
  cpu.features = {"avx2"};
  EXPECT_EQ(names(), Names{"no-avx2"});
  cpu.triple = "sparc-sun-solaris";
  EXPECT_EQ(names(), Names{"cpu"});
  cpu.triple = "aarch64-unknown-linux-gnu";
  EXPECT_EQ(names(), Names());
}

TEST_F(MachineWarnings, Tiles) {
  cpu.features.push_back("amx-tile");
  EXPECT_EQ(names(), Names{"no-tiles"});
  cpu.mayUseTiles = true;
  EXPECT_EQ(names(), Names());
}

TEST_F(MachineWarnings, Noise) {
  machine.governor = "performance";
  EXPECT_EQ(names(), Names());
  machine.governor = "powersave";
  machine.loadAverage = 3;
  rates.stolenPercent = 5;
  rates.spreadPercent = 20;
  EXPECT_EQ(names(), (Names{"governor", "busy", "stolen-time", "noisy"}));
}

TEST(MeasureMachine, GivesRates) {
  MachineRates rates = expectValue(measureMachine(1));
  EXPECT_EQ(rates.threads, 1);
  for (Engine engine : {Engine::Float32, Engine::BFloat16, Engine::Int8}) {
    EXPECT_GT(rates.threadPeaks.of(engine), 0.1) << engineName(engine);
    EXPECT_GT(rates.peaks.of(engine), 0.1) << engineName(engine);
  }
  EXPECT_GT(rates.threadReadGBps, 0.01);
  EXPECT_GT(rates.readGBps, 0.01);
  EXPECT_GE(rates.spreadPercent, 0);
  EXPECT_LE(rates.stolenPercent, 100);
}

TEST(MeasureMachine, RefusesOtherNumbersOfThreads) {
  EXPECT_EQ(measureMachine(-1).status().code(), StatusCode::Usage);
  EXPECT_EQ(measureMachine(1 << 30).status().code(), StatusCode::Usage);
}

TEST(Versions, AreNumbers) {
  EXPECT_NE(std::string(versionString()).find('.'), std::string::npos);
  std::vector<std::string> names;
  for (const auto &[name, version] : libraryVersions()) {
    names.push_back(name);
    EXPECT_TRUE(std::isdigit(static_cast<unsigned char>(version[0]))) << name << " " << version;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"LLVM", "oneTBB", "protobuf"}));
}
