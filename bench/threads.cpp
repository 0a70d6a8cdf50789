//===- threads.cpp - whether new sizes hold up those that are known -------===//
//
// One thread runs a model at one size: alone, and while others bring a size that is new each
// time: bench-threads MODEL DIM SIZE MAX [THREADS]. The others have the least priority, so that
// what they take from the one is what it waits for them, not the CPU.
//
//===----------------------------------------------------------------------===//
#include "backends/native/Compiler.h"
#include "bench/ZeroInputs.h"
#include "frontend/onnx/OnnxImporter.h"
#include "runtime/running/Session.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

using namespace quern;

namespace {
constexpr double kSeconds = 4;

struct Percentiles {
  double p50, p99;
  size_t runs;
};

/// Runs with plans that are asked for each time, as a caller with sizes of its own has it.
Expected<Percentiles> runKnown(const std::shared_ptr<Executable> &executable,
                               std::span<const Tensor> inputs) {
  Session session(executable, {.threads = 1});
  std::vector<double> times;
  auto now = [] { return std::chrono::steady_clock::now(); };
  for (auto begin = now(); now() - begin < std::chrono::duration<double>(kSeconds);) {
    std::vector<Tensor> outputs(executable->outputs().size());
    auto start = now();
    QUERN_TRY(session.run(inputs, outputs));
    times.push_back(std::chrono::duration<double, std::micro>(now() - start).count());
  }
  std::sort(times.begin(), times.end());
  auto at = [&](double share) {
    return times[static_cast<size_t>(share * double(times.size() - 1))];
  };
  return Percentiles{at(0.5), at(0.99), times.size()};
}

Status measure(const std::string &path, const std::string &dim, int64_t size, int64_t limit,
               int threads) {
  nn::OwnedModule source = nn::OwnedModule::create();
  QUERN_ASSIGN(source.module, onnx::importOnnxFile(path, *source.context));
  native::NativeOptions options;
  options.threads = 1;
  QUERN_ASSIGN(std::shared_ptr<Executable> executable,
               native::compileForJit(std::move(source), options));
  std::vector<Tensor> inputs = zeroInputs(*executable, dim, size);
  QUERN_TRY(runKnown(executable, inputs).status());
  QUERN_ASSIGN(Percentiles alone, runKnown(executable, inputs));
  std::atomic<bool> ends = false;
  std::atomic<int64_t> next = 1, planned = 0;
  std::vector<std::thread> others;
  for (int t = 0; t < threads; ++t)
    others.emplace_back([&] {
      setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19);
      while (!ends) {
        std::vector<Tensor::Dims> dims;
        int64_t at = next++;
        for (const Tensor &input : zeroInputs(*executable, dim, at % limit + 1))
          dims.push_back(input.dims());
        planned += executable->planFor(dims, Deadline()).isOk();
      }
    });
  Expected<Percentiles> beside = runKnown(executable, inputs);
  ends = true;
  for (std::thread &other : others)
    other.join();
  QUERN_TRY(beside.status());
  fmt::print("alone         p50 {:9.1f} us  p99 {:9.1f} us  {} runs\n", alone.p50, alone.p99,
             alone.runs);
  fmt::print("beside {:2}     p50 {:9.1f} us  p99 {:9.1f} us  {} runs, {} new sizes\n", threads,
             beside->p50, beside->p99, beside->runs, planned.load());
  fmt::print("p99 beside / alone {:.2f}\n", beside->p99 / alone.p99);
  return Status::ok();
}
} // namespace

int main(int argc, char **argv) {
  if (argc != 5 && argc != 6) {
    fmt::print(stderr, "bench-threads MODEL DIM SIZE MAX [THREADS]\n");
    return 2;
  }
  Status status = measure(argv[1], argv[2], std::stoll(argv[3]), std::stoll(argv[4]),
                          argc == 6 ? std::stoi(argv[5]) : 8);
  if (!status.isOk())
    fmt::print(stderr, "{}\n", status.message());
  return static_cast<int>(status.code());
}
