//===- LoadedModel.h - compiled models, loaded into this process ----------===//
#pragma once

#include "quern/model_abi.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <string>

namespace quern::native {

/// The bytes of a file, at a multiple of 64.
class FileInMemory {
public:
  explicit FileInMemory(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_FALSE(text.empty()) << path;
    size = static_cast<int64_t>(text.size());
    bytes = static_cast<char *>(std::aligned_alloc(64, (text.size() + 127) / 64 * 64));
    std::memcpy(bytes, text.data(), text.size());
  }
  FileInMemory(const FileInMemory &) = delete;
  ~FileInMemory() { std::free(bytes); }

  char *bytes;
  int64_t size;
};

/// A loaded shared library with the prefix "m".
class LoadedModel {
public:
  explicit LoadedModel(const std::string &path) : handle(dlopen(path.c_str(), RTLD_NOW)) {
    EXPECT_NE(handle, nullptr) << dlerror();
    find("m_cpu_ok", cpuOk);
    find("m_run", run);
    find("m_run", runSized);
    find("m_run_parallel", runParallel);
    find("m_info", info);
    useWeights = reinterpret_cast<decltype(useWeights)>(dlsym(handle, "m_use_weights"));
    workspace = std::aligned_alloc(64, static_cast<size_t>(info()->workspace_bytes) / 64 * 64 + 64);
  }
  ~LoadedModel() {
    std::free(workspace);
    dlclose(handle);
  }

  void *handle;
  int (*cpuOk)();
  int (*run)(const void *const *, void *const *, void *);
  /// The same, of a model with listed sizes.
  int (*runSized)(const int64_t *, const void *const *, void *const *, void *);
  int (*runParallel)(const void *const *, void *const *, void *, quern_parallel_for_fn, void *);
  const quern_model_info *(*info)();
  /// Null for a model that has its weights in it.
  int (*useWeights)(const void *, int64_t);
  void *workspace;

private:
  template <typename F> void find(const char *name, F &function) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    EXPECT_NE(function, nullptr) << name;
  }
};

} // namespace quern::native
