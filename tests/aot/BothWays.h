//===- BothWays.h - a model run as a library and with the JIT -------------===//
#pragma once

#include "tests/aot/AotTest.h"
#include "tests/aot/LoadedModel.h"

#include <memory>
#include <string>
#include <vector>

namespace quern::native {

/// A module compiled to a shared library and for the JIT, which must give the same bits.
class BothWays {
public:
  /// The library is a file in `folder`; what AOT compilation refuses is the error.
  static Expected<BothWays> compile(mlir::ModuleOp module, const std::string &folder,
                                    AotOptions options = {});

  /// Runs both, the library with memory that holds anything before. What differs, or is
  /// written behind the workspace; empty when nothing is. `plan` is the number of the
  /// library's plan for these inputs.
  std::string difference(const std::vector<Tensor> &inputs, int plan = 0);
  /// What the library returns.
  int status(const std::vector<Tensor> &inputs);
  Status jitStatus(const std::vector<Tensor> &inputs);

  const quern_model_info &info() const { return *model->info(); }
  const std::string &path() const { return libraryPath; }

private:
  BothWays() = default;
  int runLibrary(const std::vector<Tensor> &inputs, const quern_model_plan &plan);

  std::unique_ptr<Runner> jit;
  std::unique_ptr<FileInMemory> weights;
  std::unique_ptr<LoadedModel> model;
  std::string libraryPath;
  std::vector<Tensor> found;
};

} // namespace quern::native
