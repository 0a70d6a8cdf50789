//===- MutatedModels.cpp - large runs of damaged models -------------------===//
//
//   mutated-models FOLDER REGEX COUNT [SEED] [KEEP]
//
// The cases beneath FOLDER whose names match REGEX are the models that are damaged,
// COUNT times: folders with a model.onnx, and files of TensorFlow Lite. All are imported, many into
// one context, for making one takes longer than importing; one in kRunOneIn is loaded and run, some
// of these with both backends, whose answers must agree. A child process does it, so that a signal,
// a loop without end or memory without bound ends the child only: such a mutant is counted, named
// and written into the folder KEEP. Exit code 1 when there was one.
//
//===----------------------------------------------------------------------===//
#include "api/Frontend.h"
#include "ir/OwnedModule.h"
#include "quern/Model.h"
#include "tests/FloatElement.h"
#include "tests/tools/ModelMutation.h"
#include "tests/tools/TfliteMutation.h"
#include "tools/quern/InputTensors.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <thread>

using namespace quern;
using namespace quern::cli;
using namespace quern::test;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {
constexpr uint64_t kRunOneIn = 8, kNativeOneIn = 64, kImportsPerContext = 100;
constexpr auto kDeadline = std::chrono::seconds(2);
/// Of the child's CPU time, for the machine may be busy; what waits for itself uses none.
constexpr int64_t kHangMs = 30'000, kSlowMs = 3'000;
constexpr int64_t kStuckMs = 600'000;
constexpr uintmax_t kSmallFile = 64 << 10, kSmallTfliteFile = 4 << 20;

struct Seed {
  /// A folder, of a model of TensorFlow Lite its file.
  fs::path path;
  std::string bytes;

  bool isTflite() const { return path.extension() == ".tflite"; }
};

/// What the child says of itself; the parent reads it after the child's end, too.
struct ChildState {
  std::atomic<uint64_t> index = 0, loaded = 0, ran = 0, compiled = 0, compared = 0;
  /// When it began with this mutant: by the clock, and by its CPU time.
  std::atomic<int64_t> since = 0, sinceCpu = 0;
};

struct Run {
  std::vector<Seed> seeds;
  ModelMutation mutation;
  uint64_t seed = 0, count = 0;
  fs::path keep;
  ChildState *progress = nullptr;
};

int64_t milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
      .count();
}

int64_t cpuMilliseconds(pid_t process) {
  clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
  timespec now{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &now) != 0)
    return 0;
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

std::vector<Seed> findSeeds(const fs::path &root, const std::string &pattern) {
  std::vector<Seed> seeds;
  std::regex wanted(pattern);
  for (const auto &entry : fs::recursive_directory_iterator(root)) {
    bool isTflite = entry.path().extension() == ".tflite";
    if ((!isTflite && entry.path().filename() != "model.onnx") ||
        entry.file_size() > (isTflite ? kSmallTfliteFile : kSmallFile))
      continue;
    fs::path path = isTflite ? entry.path() : entry.path().parent_path();
    if (!std::regex_search(path.filename().string(), wanted))
      continue;
    std::ifstream file(entry.path(), std::ios::binary);
    seeds.push_back({path, std::string(std::istreambuf_iterator<char>(file), {})});
  }
  std::sort(seeds.begin(), seeds.end(),
            [](const Seed &a, const Seed &b) { return a.path < b.path; });
  return seeds;
}

const Seed &seedOf(const Run &run, uint64_t index) { return run.seeds[index % run.seeds.size()]; }

/// The first of each model are systematic, for there are not many; the others random.
std::string mutantOf(const Run &run, uint64_t index) {
  constexpr uint64_t kMostSystematic = 100;
  uint64_t round = index / run.seeds.size();
  std::mt19937 random(static_cast<uint32_t>(run.seed * 1000003 + index));
  const std::string &bytes = seedOf(run, index).bytes;
  if (seedOf(run, index).isTflite())
    return mutateTflite(bytes, random);
  if (round < kMostSystematic)
    if (auto mutant = systematicMutant(bytes, round))
      return std::move(*mutant);
  return random() % 8 == 0 ? mutateBytes(bytes, random) : run.mutation.mutate(bytes, random);
}

void report(const Run &run, uint64_t index, const std::string &what) {
  std::string name = std::to_string(run.seed) + "-" + std::to_string(index);
  std::printf("%s (%s): %s\n", name.c_str(), seedOf(run, index).path.filename().c_str(),
              what.c_str());
  std::fflush(stdout);
  if (run.keep.empty())
    return;
  fs::create_directories(run.keep);
  name += seedOf(run, index).isTflite() ? ".tflite" : ".onnx";
  std::ofstream(run.keep / name, std::ios::binary) << mutantOf(run, index);
}

//===----------------------------------------------------------------------===//
// One mutant
//===----------------------------------------------------------------------===//

Limits smallLimits() {
  Limits limits;
  limits.maxTensorBytes = 16 << 20;
  limits.maxFoldedBytes = 64 << 20;
  limits.maxActivationBytes = 128 << 20;
  limits.deadline = Deadline::after(kDeadline);
  return limits;
}

/// The case's own inputs, or random ones where they do not fit any more.
Expected<std::vector<AnyValue>> inputsFor(const Model &model, const Seed &seed) {
  const OutputStyle quiet = {.verbosity = -1, .color = "never", .jsonPath = {}};
  if (seed.isTflite())
    return makeInputs(model.inputs(), {}, MissingInputs::Random, quiet, smallLimits());
  fs::path data = seed.path / "test_data_set_0";
  InputOptions given;
  given.given = {data.string()};
  auto inputs = makeInputs(model.inputs(), given, MissingInputs::Random, quiet, smallLimits());
  if (inputs)
    return inputs;
  return makeInputs(model.inputs(), {}, MissingInputs::Random, quiet, smallLimits());
}

Expected<std::vector<AnyValue>> runWith(const Model &model, Backend backend, int level,
                                        std::span<const AnyValue> inputs) {
  CompileOptions options;
  options.backend = backend;
  options.optLevel = level;
  options.threads = 1;
  options.limits = smallLimits();
  QUERN_ASSIGN(auto compiled, model.compile(options));
  RunnerOptions session;
  session.threads = 1;
  session.limits = smallLimits();
  QUERN_ASSIGN(auto runner, compiled->createRunner(session));
  return runner->run(inputs);
}

/// Whether two tensors are as good as equal; floats with much room, for nothing is
/// known of the model. Where integers are `rounded` real numbers, what was one step apart may be
/// any number of steps apart in the end.
bool alike(const Tensor &a, const Tensor &b, bool rounded) {
  if (a.isPresent() != b.isPresent())
    return false;
  if (!a.isPresent())
    return true;
  if (a.dtype() != b.dtype() || a.dims() != b.dims())
    return false;
  if (a.dtype() == DType::String)
    return std::ranges::equal(a.elementsAs<std::string>(), b.elementsAs<std::string>());
  if (rounded && !isFloat(a.dtype()) && dtypeBits(a.dtype()) <= 16)
    return true;
  if (dtypeBits(a.dtype()) < 16 || !isFloat(a.dtype()))
    return a.numBytes() == 0 ||
           std::memcmp(a.rawData(), b.rawData(), static_cast<size_t>(a.numBytes())) == 0;
  double room = a.dtype() == DType::BFloat16 ? 0.05 : a.dtype() == DType::Float16 ? 0.01 : 1e-3;
  for (int64_t i = 0; i < a.numElements(); ++i) {
    double x = floatAt(a, i), y = floatAt(b, i);
    if (std::isnan(x) || std::isnan(y)) {
      if (std::isnan(x) != std::isnan(y))
        return false;
    } else if (x != y && !(std::abs(x - y) <= room * (1 + std::abs(y)))) {
      return false;
    }
  }
  return true;
}

/// What two backends disagree about; empty when they do not.
std::string disagreement(const Expected<std::vector<AnyValue>> &a,
                         const Expected<std::vector<AnyValue>> &b, bool rounded) {
  auto isLimit = [](const Expected<std::vector<AnyValue>> &e) {
    return !e && e.status().code() == StatusCode::ResourceLimit;
  };
  // They do not need the same memory and time.
  if (isLimit(a) || isLimit(b))
    return {};
  if (static_cast<bool>(a) != static_cast<bool>(b))
    return a ? "only native refuses: " + b.status().message()
             : "only the interpreter refuses: " + a.status().message();
  if (!a)
    return {};
  for (size_t i = 0; i < a->size(); ++i) {
    const Tensor *x = (*a)[i].asTensor(), *y = (*b)[i].asTensor();
    if ((x == nullptr) != (y == nullptr) || (x && !alike(*x, *y, rounded)))
      return "output " + std::to_string(i) + " differs";
  }
  return {};
}

std::string internalFault(const Status &status) {
  if (!status.isOk() && (status.code() == StatusCode::Internal || status.message().empty()))
    return "internal error: " + status.message();
  return {};
}

/// What is wrong with how a model is imported; its context is another one's, too.
std::string importOnly(const Run &run, const ModelBytes &file) {
  static nn::OwnedModule shared = nn::OwnedModule::create();
  static uint64_t imports = 0;
  if (++imports % kImportsPerContext == 0)
    shared = nn::OwnedModule::create();
  const Frontend &frontend = frontendOf(file.bytes);
  if (auto facts = frontend.inspectBytes(file.bytes, smallLimits()); !facts)
    if (std::string wrong = internalFault(facts.status()); !wrong.empty())
      return "inspect: " + wrong;
  auto module = frontend.loadBytes(file, *shared.context, smallLimits());
  if (!module)
    return internalFault(module.status());
  ++run.progress->loaded;
  return {};
}

/// What is wrong with how this mutant is handled; empty when nothing is.
std::string handle(const Run &run, uint64_t index) {
  auto bytes = std::make_shared<std::string>(mutantOf(run, index));
  ModelBytes file{std::as_bytes(std::span(*bytes)), "mutant", bytes};
  if (index / run.seeds.size() % kRunOneIn != 0)
    return importOnly(run, file);
  auto model = Model::load(file, {}, smallLimits());
  if (!model)
    return internalFault(model.status());
  ++run.progress->loaded;
  auto inputs = inputsFor(*model, seedOf(run, index));
  if (!inputs)
    return {};
  auto wanted = runWith(*model, Backend::Interpreter, 3, *inputs);
  run.progress->ran += wanted ? 1 : 0;
  std::string wrong = internalFault(wanted.status());
  if (!wrong.empty() || index / run.seeds.size() / kRunOneIn % kNativeOneIn != 0)
    return wrong;
  for (int level : {3, 0}) {
    auto found = runWith(*model, Backend::Native, level, *inputs);
    run.progress->compiled += found ? 1 : 0;
    wrong = internalFault(found.status());
    if (wrong.empty())
      wrong = disagreement(wanted, found, seedOf(run, index).isTflite());
    if (!wrong.empty())
      return "-O" + std::to_string(level) + " " + wrong;
  }
  ++run.progress->compared;
  return {};
}

//===----------------------------------------------------------------------===//
// Processes
//===----------------------------------------------------------------------===//

/// The child: handles mutants from `first` on.
[[noreturn]] void work(const Run &run, uint64_t first) {
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
  rlimit memory = {rlim_t{4} << 30, rlim_t{4} << 30};
  setrlimit(RLIMIT_AS, &memory);
#endif
  for (uint64_t index = first; index < run.count; ++index) {
    run.progress->index = index;
    int64_t begin = cpuMilliseconds(0);
    run.progress->sinceCpu = begin;
    run.progress->since = milliseconds();
    std::string wrong = handle(run, index);
    if (!wrong.empty())
      report(run, index, wrong);
    int64_t took = cpuMilliseconds(0) - begin;
    if (took > kSlowMs)
      report(run, index, "slow: " + std::to_string(took) + " ms");
  }
  _exit(0);
}

/// Waits for the child; how it ended when it did not end well.
std::string waitFor(pid_t child, const Run &run) {
  for (;;) {
    int status = 0;
    pid_t done = waitpid(child, &status, WNOHANG);
    if (done == child) {
      if (WIFSIGNALED(status))
        return "signal " + std::to_string(WTERMSIG(status));
      return WEXITSTATUS(status) == 0 ? "" : "exit code " + std::to_string(WEXITSTATUS(status));
    }
    if (cpuMilliseconds(child) - run.progress->sinceCpu > kHangMs ||
        milliseconds() - run.progress->since > kStuckMs) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return "hangs";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

uint64_t supervise(const Run &run) {
  uint64_t faults = 0;
  for (uint64_t next = 0; next < run.count;) {
    run.progress->since = milliseconds();
    run.progress->sinceCpu = 0;
    pid_t child = fork();
    if (child == 0)
      work(run, next);
    std::string wrong = waitFor(child, run);
    if (wrong.empty())
      return faults;
    ++faults;
    report(run, run.progress->index, wrong);
    next = run.progress->index + 1;
  }
  return faults;
}
} // namespace

int main(int argc, char **argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: mutated-models FOLDER REGEX COUNT [SEED] [KEEP]\n");
    return 2;
  }
  Run run;
  run.seeds = findSeeds(argv[1], argv[2]);
  run.count = std::strtoull(argv[3], nullptr, 10);
  run.seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;
  run.keep = argc > 5 ? argv[5] : "";
  if (run.seeds.empty()) {
    std::fprintf(stderr, "no model matches %s\n", argv[2]);
    return 2;
  }
  for (const Seed &seed : run.seeds)
    run.mutation.add(seed.bytes);
  void *shared =
      mmap(nullptr, sizeof(ChildState), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    return 10;
  run.progress = new (shared) ChildState;
  uint64_t faults = supervise(run);
  std::printf("%s: %zu models, %llu mutants, %llu loaded, %llu interpreted, %llu compiled, %llu "
              "compared, %llu signals or hangs\n",
              argv[2], run.seeds.size(), static_cast<unsigned long long>(run.count),
              static_cast<unsigned long long>(run.progress->loaded),
              static_cast<unsigned long long>(run.progress->ran),
              static_cast<unsigned long long>(run.progress->compiled),
              static_cast<unsigned long long>(run.progress->compared),
              static_cast<unsigned long long>(faults));
  return faults == 0 ? 0 : 1;
}
