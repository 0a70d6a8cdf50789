//===- LoadedModel.h - compiled models, loaded into this process ----------===//
#pragma once

#include "quern/model_abi.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <dlfcn.h>
#include <string>

namespace quern::native {

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
  void *workspace;

private:
  template <typename F> void find(const char *name, F &function) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    EXPECT_NE(function, nullptr) << name;
  }
};

} // namespace quern::native
