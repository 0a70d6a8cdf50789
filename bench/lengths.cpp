//===- lengths.cpp - what a new input size costs --------------------------===//
//
// Runs a model at every value of one dimension from 1 to a limit, in random order,
// twice over, and tells what a size costs beyond its run: bench-lengths MODEL DIM MAX.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"
#include "backends/native/target/Target.h"
#include "bench/ZeroInputs.h"
#include "frontend/onnx/OnnxImporter.h"
#include "runtime/running/Session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <random>
#include <unistd.h>

using namespace quern;

namespace {
/// Sizes after which no kernel should be missing any more.
constexpr size_t kWarmUp = 20;

double residentMegabytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / 1e6;
}

double microseconds(const std::function<void()> &body) {
  auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
      .count();
}

void report(const char *what, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  auto at = [&](double share) {
    return values[static_cast<size_t>(share * double(values.size() - 1))];
  };
  fmt::print("{:<34} p50 {:9.1f} us  p90 {:9.1f} us  max {:9.1f} us\n", what, at(0.5), at(0.9),
             at(1.0));
}

Status measure(const std::string &path, const std::string &dim, int64_t limit) {
  nn::OwnedModule source = nn::OwnedModule::create();
  QUERN_ASSIGN(source.module, onnx::importOnnxFile(path, *source.context));
  native::NativeOptions options;
  QUERN_ASSIGN(native::Target target, native::resolveTarget(options.targetCpu));
  auto cache = std::make_shared<native::KernelStore>(target);
  options.kernels = std::make_shared<native::LinkedKernels>(cache);
  QUERN_ASSIGN(std::shared_ptr<Executable> executable,
               native::compileForJit(std::move(source), options));
  Session session(executable, {.threads = 1});
  std::vector<int64_t> sizes;
  for (int64_t size = 1; size <= limit; ++size)
    sizes.push_back(size);
  std::shuffle(sizes.begin(), sizes.end(), std::mt19937(1));
  Status status;
  for (int pass = 0; pass < 2; ++pass) {
    std::vector<double> planning, beyond;
    size_t kernelsAfterWarmUp = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      std::vector<Tensor> inputs = zeroInputs(*executable, dim, sizes[i]);
      std::vector<Tensor::Dims> dims;
      for (const Tensor &input : inputs)
        dims.push_back(input.dims());
      planning.push_back(microseconds([&] { status = executable->planFor(dims, Deadline()); }));
      QUERN_TRY(status);
      std::vector<Tensor> outputs(executable->outputs().size());
      auto run = [&] { status = session.run(inputs, outputs); };
      double first = microseconds(run);
      QUERN_TRY(status);
      beyond.push_back(first - std::min(microseconds(run), microseconds(run)));
      if (i < kWarmUp)
        kernelsAfterWarmUp = cache->size();
    }
    fmt::print("pass {}: {} kernels after {} sizes, {} after {}; {:.1f} MB resident\n", pass + 1,
               kernelsAfterWarmUp, std::min(kWarmUp, sizes.size()), cache->size(), sizes.size(),
               residentMegabytes());
    report("  plan", {planning.begin() + (pass == 0 ? std::min(kWarmUp, sizes.size() - 1) : 0),
                      planning.end()});
    report("  first run beyond the next ones", beyond);
  }
  return Status::ok();
}
} // namespace

int main(int argc, char **argv) {
  if (argc != 4) {
    fmt::print(stderr, "bench-lengths MODEL DIM MAX\n");
    return 2;
  }
  Status status = measure(argv[1], argv[2], std::stoll(argv[3]));
  if (!status.isOk())
    fmt::print(stderr, "{}\n", status.message());
  return static_cast<int>(status.code());
}
