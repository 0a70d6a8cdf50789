//===- KernelStore.cpp - kernels emitted and compiled once ----------------===//
#include "backends/native/KernelStore.h"

#include "backends/native/codegen/CloseFile.h"
#include "backends/native/emit/SpecKernel.h"
#include "quern/Progress.h"
#include "runtime/running/ParallelTasks.h"
#include "runtime/running/TraceScope.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <fmt/format.h>
#include <map>
#include <thread>

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static constexpr std::string_view kDoing = "compiling";

KernelStore::KernelStore(const Target &target, KernelStoreOptions given)
    : cpu(target), options(std::move(given)), surroundings(target) {
  if (!options.folder.empty() && surroundings.areLasting() && options.dumpDirectory.empty() &&
      !options.keepBitcode)
    folder.emplace(options.folder);
}

//===----------------------------------------------------------------------===//
// One kernel
//===----------------------------------------------------------------------===//

static Status writeText(const std::string &path, llvm::StringRef text) {
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (error)
    return ioError("cannot write " + path + ": " + error.message());
  file << text;
  return closeFile(file, path);
}

/// Where dumps of a kernel begin: "dot_14x32_relu-0123456789ab", with underscores for what
/// names of files do not have.
static std::string dumpName(const std::string &name, const KernelKey &key) {
  constexpr size_t kMaxNameLength = 80, kDigits = 12;
  std::string readable = name.substr(0, kMaxNameLength);
  for (char &c : readable)
    if (!llvm::isAlnum(c))
      c = '_';
  return readable + "-" + key.text().substr(0, kDigits);
}

Expected<CompiledKernel> KernelStore::compileOne(const KernelSpec &spec) const {
  TraceScope span([&] { return TraceSpan{.category = "compile", .name = "kernel " + spec.name}; });
  KernelKey key(surroundings, spec.key);
  CompiledKernel result{key.symbol(), {}};
  KernelBuilder builder(cpu, result.symbol);
  emitKernel(spec, builder);
  KernelBuilder::Module module = builder.finish();
  std::string assembly, dump;
  if (!options.dumpDirectory.empty()) {
    if (std::error_code error = llvm::sys::fs::create_directories(options.dumpDirectory))
      return ioError("cannot create " + options.dumpDirectory + ": " + error.message());
    dump = options.dumpDirectory + "/" + dumpName(spec.name, key);
    std::string text = "// " + spec.source->text() + "\n";
    llvm::raw_string_ostream stream(text);
    module.module->print(stream);
    QUERN_TRY(writeText(dump + ".mlir", text));
  }
  QUERN_ASSIGN(result.object,
               compileKernel(std::move(module), cpu, dump.empty() ? nullptr : &assembly,
                             options.keepBitcode ? &result.bitcode : nullptr));
  if (!dump.empty())
    QUERN_TRY(writeText(dump + ".s", assembly));
  return result;
}

/// Takes the kernel from the folder, if it is there.
bool KernelStore::load(const KernelSpec &spec) {
  if (!folder)
    return false;
  StoredKernel stored{surroundings, spec.key};
  std::optional<ObjectCode> object = folder->load(stored);
  if (!object)
    return false;
  kernels.provide(spec.key, {stored.key.symbol(), std::move(*object)});
  ++loaded;
  return true;
}

/// Whether the kernel has been loaded. Otherwise it is to be compiled: here, and stored by
/// `claim` where there is one, unless another process is `busy` with it.
bool KernelStore::loadOrClaim(const KernelSpec &spec, std::optional<KernelFolder::Claim> &claim,
                              bool &busy) {
  busy = false;
  if (!folder)
    return false;
  busy = folder->claim({surroundings, spec.key}, claim) == KernelFolder::Claiming::Busy;
  // Who had the claim may have stored it.
  return (claim || busy) && load(spec);
}

/// Makes a kernel that is in no store. One that another process is `busy` with is left for
/// later, or waited for, but not for ever: the other one may have been stopped.
Status KernelStore::make(const KernelSpec &spec, const Deadline &deadline, bool mayWait,
                         bool &busy) {
  constexpr std::chrono::milliseconds kBetweenLooks{3};
  const auto giveUp = Deadline::Clock::now() + std::chrono::seconds(10);
  std::optional<KernelFolder::Claim> claim;
  while (true) {
    if (loadOrClaim(spec, claim, busy)) {
      busy = false;
      return Status::ok();
    }
    if (!busy || (mayWait && Deadline::Clock::now() > giveUp))
      break;
    if (!mayWait)
      return Status::ok();
    QUERN_TRY(deadline.check(kDoing));
    std::this_thread::sleep_for(kBetweenLooks);
  }
  busy = false;
  QUERN_ASSIGN(CompiledKernel kernel, compileOne(spec));
  const CompiledKernel &provided = kernels.provide(spec.key, std::move(kernel));
  ++compiled;
  if (claim)
    folder->store({surroundings, spec.key}, provided.object, std::move(*claim));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// All kernels of a plan
//===----------------------------------------------------------------------===//

Status KernelStore::makeAll(std::vector<const KernelSpec *> specs, const Deadline &deadline,
                            bool mayWait) {
  std::atomic<size_t> begun = 0;
  std::vector<char> isBusy(specs.size(), false);
  QUERN_TRY(runParallelTasks(specs.size(), options.threads, [&](size_t i) -> Status {
    auto inContext = [&](Status status) { return status.withContext("kernel " + specs[i]->name); };
    QUERN_TRY(inContext(deadline.check(kDoing)));
    QUERN_TRY(
        ProgressScope::check(fmt::format("compiling kernel {} of {}", ++begun, specs.size())));
    bool busy = false;
    QUERN_TRY(inContext(make(*specs[i], deadline, mayWait, busy)));
    isBusy[i] = busy;
    return Status::ok();
  }));
  std::vector<const KernelSpec *> left;
  for (size_t i = 0; i < specs.size(); ++i)
    if (isBusy[i])
      left.push_back(specs[i]);
  return left.empty() ? Status::ok() : makeAll(std::move(left), deadline, /*mayWait=*/true);
}

Status KernelStore::compile(const std::vector<const KernelSpec *> &specs,
                            const Deadline &deadline) {
  std::map<std::string_view, const KernelSpec *> byKey;
  std::vector<std::string> keys;
  for (const KernelSpec *spec : specs)
    if (byKey.emplace(spec->key, spec).second)
      keys.push_back(spec->key);
  while (true) {
    OncePerKey<CompiledKernel>::Undertaking mine(kernels);
    if (kernels.undertake(keys, mine))
      return Status::ok();
    if (mine.keys().empty()) {
      QUERN_TRY(kernels.waitFor(keys, deadline, kDoing));
      continue;
    }
    std::vector<const KernelSpec *> missing;
    for (const std::string &key : mine.keys())
      if (!load(*byKey.at(key)))
        missing.push_back(byKey.at(key));
    if (!missing.empty())
      // While others compile some of them, there are more to be compiled.
      QUERN_TRY(makeAll(std::move(missing), deadline, /*mayWait=*/false));
  }
}
