//===- Objects.h - models, executables, sessions and values for C ---------===//
#pragma once

#include "api/c/Call.h"
#include "quern/Model.h"

namespace quern::c {

struct ModelObject {
  explicit ModelObject(Model loaded)
      : model(std::move(loaded)), inputs(model.inputs()), outputs(model.outputs()) {}
  Model model;
  PortTable inputs, outputs;
};
template <> struct HandleOf<ModelObject> {
  using Type = quern_model;
  static constexpr HandleKind kind = HandleKind::Model;
  static constexpr const char *name = "model";
};

struct ExecutableObject {
  explicit ExecutableObject(std::shared_ptr<const CompiledModel> compiled)
      : model(std::move(compiled)), inputs(model->inputs()), outputs(model->outputs()) {}
  std::shared_ptr<const CompiledModel> model;
  PortTable inputs, outputs;
};
template <> struct HandleOf<ExecutableObject> {
  using Type = quern_executable;
  static constexpr HandleKind kind = HandleKind::Executable;
  static constexpr const char *name = "executable";
};

struct SessionObject {
  std::unique_ptr<Runner> runner;
};
template <> struct HandleOf<SessionObject> {
  using Type = quern_session;
  static constexpr HandleKind kind = HandleKind::Session;
  static constexpr const char *name = "session";
};

struct ValueObject {
  AnyValue value;
};
template <> struct HandleOf<ValueObject> {
  using Type = quern_value;
  static constexpr HandleKind kind = HandleKind::Value;
  static constexpr const char *name = "value";
};

/// Puts a new handle for the value into `result`, which is not null.
Status giveValue(AnyValue value, quern_value **result);
/// Copies, which share elements; an error names the one that is no value.
Expected<std::vector<AnyValue>> readValues(const quern_value *const *values, size_t count,
                                           const char *name);

Expected<CompileOptions> readCompileOptions(const quern_compile_options *options);
Expected<RunnerOptions> readSessionOptions(const quern_session_options *options);

} // namespace quern::c
