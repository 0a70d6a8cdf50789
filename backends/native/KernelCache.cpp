//===- KernelCache.cpp - kernels emitted once -----------------------------===//
#include "backends/native/KernelCache.h"

#include "backends/native/codegen/CloseFile.h"
#include "quern/Progress.h"
#include "runtime/running/ParallelTasks.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <fmt/format.h>

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

static Status writeText(const std::string &path, llvm::StringRef text) {
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (error)
    return ioError("cannot write " + path + ": " + error.message());
  file << text;
  return closeFile(file, path);
}

Expected<CompiledKernel> KernelCache::compileOne(const KernelSpec &spec,
                                                 const std::string &symbol) const {
  KernelBuilder builder(cpu, symbol);
  spec.emit(builder);
  KernelBuilder::Module module = builder.finish();
  std::string assembly;
  if (!dumpDirectory.empty()) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.module->print(stream);
    QUERN_TRY(writeText(dumpDirectory + "/" + symbol + ".mlir", text));
  }
  CompiledKernel compiled{symbol, {}};
  auto object = compileKernel(std::move(module), cpu, dumpDirectory.empty() ? nullptr : &assembly,
                              keepBitcode ? &compiled.bitcode : nullptr);
  if (!object)
    return object.status().withContext("kernel " + spec.name);
  if (!dumpDirectory.empty())
    QUERN_TRY(writeText(dumpDirectory + "/" + symbol + ".s", assembly));
  compiled.object = object.take();
  return compiled;
}

/// A symbol from a readable name: other characters become underscores.
static std::string symbolName(const std::string &name, size_t number) {
  constexpr size_t kMaxNameLength = 80;
  std::string symbol = "quern_k" + std::to_string(number) + "_" + name.substr(0, kMaxNameLength);
  for (char &c : symbol)
    if (!isalnum(static_cast<unsigned char>(c)))
      c = '_';
  return symbol;
}

Status KernelCache::compile(const std::vector<const KernelSpec *> &specs,
                            const Deadline &deadline) {
  std::lock_guard lock(mutex);
  if (!dumpDirectory.empty())
    if (std::error_code error = llvm::sys::fs::create_directories(dumpDirectory))
      return ioError("cannot create " + dumpDirectory + ": " + error.message());
  std::map<std::string, std::pair<const KernelSpec *, std::string>> missing;
  for (const KernelSpec *spec : specs)
    if (!kernels.count(spec->key) && !missing.count(spec->key))
      missing[spec->key] = {spec, symbolName(spec->name, kernels.size() + missing.size())};
  std::vector<std::pair<const KernelSpec *, std::string>> jobs;
  for (auto &entry : missing)
    jobs.push_back(entry.second);
  std::vector<CompiledKernel> results(jobs.size());
  std::atomic<size_t> begun = 0;
  QUERN_TRY(runParallelTasks(jobs.size(), threads, [&](size_t i) -> Status {
    QUERN_TRY(deadline.check("compiling").withContext("kernel " + jobs[i].first->name));
    QUERN_TRY(ProgressScope::check(fmt::format("compiling kernel {} of {}", ++begun, jobs.size())));
    QUERN_ASSIGN(results[i], compileOne(*jobs[i].first, jobs[i].second));
    return Status::ok();
  }));
  for (size_t i = 0; i < jobs.size(); ++i)
    kernels.emplace(jobs[i].first->key, std::move(results[i]));
  return Status::ok();
}

const CompiledKernel &KernelCache::get(const std::string &key) const {
  std::lock_guard lock(mutex);
  return kernels.at(key);
}

size_t KernelCache::size() const {
  std::lock_guard lock(mutex);
  return kernels.size();
}
