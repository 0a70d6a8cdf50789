//===- Models.cpp - loading, compiling and looking into models for C ------===//
#include "api/c/Objects.h"
#include "quern/Artifact.h"
#include "quern/HostCpu.h"
#include "quern/Reports.h"
#include "quern/SampleInputs.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::c;

static std::string textOr(const char *text, const char *otherwise) {
  return text ? text : otherwise;
}

static Expected<InputSizes> readInputSizes(const quern_load_options &options) {
  InputSizes sizes{.growingCaches = options.growing_caches != 0};
  QUERN_TRY(requireArray(options.shapes, options.shape_count, "shapes"));
  for (size_t i = 0; i < options.shape_count; ++i) {
    const quern_input_shape &given = options.shapes[i];
    QUERN_TRY(require(given.name, "the name of a shape"));
    QUERN_ASSIGN(Tensor::Dims dims, readDims(given.shape.dims, given.shape.rank));
    sizes.shapes[given.name] = std::move(dims);
  }
  QUERN_TRY(requireArray(options.dims, options.dim_count, "dims"));
  for (size_t i = 0; i < options.dim_count; ++i) {
    QUERN_TRY(require(options.dims[i].symbol, "the symbol of a dimension"));
    sizes.dims[options.dims[i].symbol] = options.dims[i].size;
  }
  return sizes;
}

Expected<CompileOptions> c::readCompileOptions(const quern_compile_options *given) {
  QUERN_ASSIGN(quern_compile_options options, readOptions(given, "compile options"));
  if (options.backend != QUERN_BACKEND_NATIVE && options.backend != QUERN_BACKEND_INTERPRETER)
    return usageError(fmt::format("there is no backend {}", options.backend));
  if (options.optimize < QUERN_OPTIMIZE_DEFAULT || options.optimize > QUERN_OPTIMIZE_3)
    return usageError(fmt::format("there is no optimisation level {}", options.optimize));
  CompileOptions result;
  result.backend =
      options.backend == QUERN_BACKEND_INTERPRETER ? Backend::Interpreter : Backend::Native;
  if (options.optimize != QUERN_OPTIMIZE_DEFAULT)
    result.optLevel = options.optimize - QUERN_OPTIMIZE_0;
  result.threads = options.threads;
  result.targetCpu = textOr(options.target_cpu, "host");
  result.dumpPhasesTo = textOr(options.dump_folder, "");
  result.targetTriple = textOr(options.target, "");
  result.kernelCache = options.no_kernel_cache == 0;
  if (options.precision) {
    QUERN_ASSIGN(result.precision, parsePrecision(options.precision));
  }
  if (options.max_error != 0)
    result.maxError = options.max_error;
  QUERN_ASSIGN(result.samples, readValues(options.samples, options.sample_count, "samples"));
  if (options.weights) {
    QUERN_ASSIGN(result.weights, parseWeightType(options.weights));
  }
  if (options.winograd) {
    QUERN_ASSIGN(result.winograd, parseWinogradUse(options.winograd));
  }
  if (options.tune_seconds != 0)
    result.tuneSeconds = std::max(options.tune_seconds, 0.0);
  QUERN_ASSIGN(result.limits, readLimits(&options.limits));
  return result;
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

quern_status quern_model_load(const char *path, const quern_load_options *options,
                              quern_model **model) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(path, "path"));
    QUERN_TRY(require(model, "model"));
    QUERN_ASSIGN(quern_load_options known, readOptions(options, "load options"));
    QUERN_ASSIGN(InputSizes sizes, readInputSizes(known));
    QUERN_ASSIGN(Limits limits, readLimits(&known.limits));
    QUERN_ASSIGN(Model loaded, Model::load(path, sizes, limits));
    return giveHandle(std::make_unique<ModelObject>(std::move(loaded)), model);
  });
}

quern_status quern_model_load_bytes(const void *bytes, size_t size,
                                    const quern_load_options *options, quern_model **model) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(bytes, "bytes"));
    QUERN_TRY(require(model, "model"));
    QUERN_ASSIGN(quern_load_options known, readOptions(options, "load options"));
    QUERN_ASSIGN(InputSizes sizes, readInputSizes(known));
    QUERN_ASSIGN(Limits limits, readLimits(&known.limits));
    ModelBytes source{.bytes = {static_cast<const std::byte *>(bytes), size},
                      .name = textOr(known.name, "model")};
    QUERN_ASSIGN(Model loaded, Model::load(source, sizes, limits));
    return giveHandle(std::make_unique<ModelObject>(std::move(loaded)), model);
  });
}

void quern_model_release(quern_model *model) { releaseObject<ModelObject>(model); }

quern_status quern_executable_load(const char *path, quern_executable **executable) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(path, "path"));
    QUERN_TRY(require(executable, "executable"));
    QUERN_ASSIGN(std::shared_ptr<const CompiledModel> loaded, loadArtifact(path));
    return giveHandle(std::make_unique<ExecutableObject>(std::move(loaded)), executable);
  });
}

void quern_executable_release(quern_executable *executable) {
  releaseObject<ExecutableObject>(executable);
}

//===----------------------------------------------------------------------===//
// Ports
//===----------------------------------------------------------------------===//

template <typename Object>
static quern_status getPort(const typename HandleOf<Object>::Type *handle, PortTable Object::*table,
                            size_t index, quern_port *port) {
  return guarded([&]() -> Status {
    QUERN_ASSIGN(Object * object, objectOf<Object>(handle));
    return (object->*table).get(index, port);
  });
}

template <typename Object>
static quern_status getPortCounts(const typename HandleOf<Object>::Type *handle, size_t *inputs,
                                  size_t *outputs) {
  return guarded([&]() -> Status {
    QUERN_ASSIGN(Object * object, objectOf<Object>(handle));
    QUERN_TRY(require(inputs, "inputs"));
    QUERN_TRY(require(outputs, "outputs"));
    *inputs = object->inputs.size();
    *outputs = object->outputs.size();
    return Status::ok();
  });
}

quern_status quern_model_port_counts(const quern_model *model, size_t *inputs, size_t *outputs) {
  return getPortCounts<ModelObject>(model, inputs, outputs);
}
quern_status quern_model_input(const quern_model *model, size_t index, quern_port *port) {
  return getPort<ModelObject>(model, &ModelObject::inputs, index, port);
}
quern_status quern_model_output(const quern_model *model, size_t index, quern_port *port) {
  return getPort<ModelObject>(model, &ModelObject::outputs, index, port);
}
quern_status quern_executable_port_counts(const quern_executable *executable, size_t *inputs,
                                          size_t *outputs) {
  return getPortCounts<ExecutableObject>(executable, inputs, outputs);
}
quern_status quern_executable_input(const quern_executable *executable, size_t index,
                                    quern_port *port) {
  return getPort<ExecutableObject>(executable, &ExecutableObject::inputs, index, port);
}
quern_status quern_executable_output(const quern_executable *executable, size_t index,
                                     quern_port *port) {
  return getPort<ExecutableObject>(executable, &ExecutableObject::outputs, index, port);
}

quern_status quern_model_sample_inputs(const quern_model *model, uint64_t seed,
                                       quern_value **values, size_t count) {
  return guarded([&]() -> Status {
    QUERN_ASSIGN(ModelObject * object, objectOf<ModelObject>(model));
    QUERN_TRY(requireArray(values, count, "values"));
    if (count != object->inputs.size())
      return usageError(
          fmt::format("the model has {} inputs, found room for {}", object->inputs.size(), count));
    QUERN_ASSIGN(std::vector<AnyValue> samples, sampleInputs(object->model.inputs(), seed));
    std::vector<quern_value *> made(count);
    Status status;
    for (size_t i = 0; i < count && status.isOk(); ++i)
      status = giveValue(std::move(samples[i]), &made[i]);
    for (size_t i = 0; i < count; ++i)
      if (status.isOk())
        values[i] = made[i];
      else
        quern_value_release(made[i]);
    return status;
  });
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

quern_status quern_model_compile(const quern_model *model, const quern_compile_options *options,
                                 quern_executable **executable) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(executable, "executable"));
    QUERN_ASSIGN(ModelObject * object, objectOf<ModelObject>(model));
    QUERN_ASSIGN(CompileOptions compile, readCompileOptions(options));
    QUERN_ASSIGN(std::shared_ptr<const CompiledModel> compiled, object->model.compile(compile));
    return giveHandle(std::make_unique<ExecutableObject>(std::move(compiled)), executable);
  });
}

static Expected<ArtifactOptions> readFileOptions(const char *path, const quern_file_options *file) {
  QUERN_ASSIGN(quern_file_options known, readOptions(file, "file options"));
  QUERN_TRY(requireArray(known.target_cpus, known.target_cpu_count, "target_cpus"));
  ArtifactOptions artifact;
  artifact.outputPath = path;
  artifact.headerPath = textOr(known.header_path, "");
  artifact.prefix = textOr(known.prefix, "");
  artifact.runtimeArchive = textOr(known.runtime_archive, "");
  for (size_t i = 0; i < known.target_cpu_count; ++i) {
    QUERN_TRY(require(known.target_cpus[i], fmt::format("target_cpus[{}]", i).c_str()));
    artifact.targetCpus.push_back(known.target_cpus[i]);
  }
  QUERN_TRY(requireArray(known.listed_sizes, known.listed_size_count, "listed_sizes"));
  for (size_t i = 0; i < known.listed_size_count; ++i) {
    QUERN_TRY(require(known.listed_sizes[i], fmt::format("listed_sizes[{}]", i).c_str()));
    QUERN_ASSIGN(ListedSize list, parseListedSize(known.listed_sizes[i]));
    artifact.listedSizes.push_back(std::move(list));
  }
  if (known.max_iterations < 0)
    return usageError("max_iterations is below 0");
  if (known.max_iterations > 0)
    artifact.maxIterations = known.max_iterations;
  artifact.weightsInFile = known.weights_in_file != 0;
  artifact.mainPath = textOr(known.main_path, "");
  artifact.seed = known.seed;
  return artifact;
}

quern_status quern_model_compile_to_file(const quern_model *model, const char *path,
                                         const quern_compile_options *options,
                                         const quern_file_options *file) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(path, "path"));
    QUERN_ASSIGN(ModelObject * object, objectOf<ModelObject>(model));
    QUERN_ASSIGN(CompileOptions compile, readCompileOptions(options));
    QUERN_ASSIGN(ArtifactOptions artifact, readFileOptions(path, file));
    return object->model.compileToArtifact(compile, artifact);
  });
}

quern_status quern_model_phase_text(const quern_model *model, const char *phase,
                                    const quern_compile_options *options, quern_text **text) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(phase, "phase"));
    QUERN_TRY(require(text, "text"));
    QUERN_ASSIGN(ModelObject * object, objectOf<ModelObject>(model));
    QUERN_ASSIGN(CompileOptions compile, readCompileOptions(options));
    QUERN_ASSIGN(std::string found, object->model.textOfPhase(compile, phase));
    return giveText(std::move(found), text);
  });
}

quern_status quern_model_check(const quern_model *model, const quern_shape *shapes, size_t count,
                               const quern_compile_options *options, quern_text **json) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(json, "json"));
    QUERN_ASSIGN(ModelObject * object, objectOf<ModelObject>(model));
    QUERN_ASSIGN(CompileOptions compile, readCompileOptions(options));
    if (!shapes) {
      QUERN_ASSIGN(Explanation explanation, object->model.explainWithoutSizes(compile));
      return giveText(explanationReport(explanation), json);
    }
    QUERN_ASSIGN(std::vector<Tensor::Dims> dims, readShapes(shapes, count));
    QUERN_ASSIGN(Explanation explanation, object->model.explainPlan(compile, dims));
    return giveText(explanationReport(explanation), json);
  });
}

quern_status quern_executable_plan(const quern_executable *executable, const quern_shape *shapes,
                                   size_t count, const quern_limits *limits) {
  return guarded([&]() -> Status {
    QUERN_ASSIGN(ExecutableObject * object, objectOf<ExecutableObject>(executable));
    QUERN_ASSIGN(std::vector<Tensor::Dims> dims, readShapes(shapes, count));
    QUERN_ASSIGN(Limits bounds, readLimits(limits));
    return object->model->warmUp(dims, bounds.deadline);
  });
}

quern_status quern_inspect_file(const char *path, const quern_limits *limits, quern_text **json) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(path, "path"));
    QUERN_TRY(require(json, "json"));
    QUERN_ASSIGN(Limits bounds, readLimits(limits));
    QUERN_ASSIGN(std::string report, inspectReport(path, bounds));
    return giveText(std::move(report), json);
  });
}

quern_status quern_describe_host(quern_text **json) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(json, "json"));
    return giveText(hostReport(), json);
  });
}

quern_status quern_find_problems(const char *path, const quern_limits *limits, quern_text **json) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(path, "path"));
    QUERN_TRY(require(json, "json"));
    QUERN_ASSIGN(Limits bounds, readLimits(limits));
    QUERN_ASSIGN(std::string report, problemsReport(path, bounds));
    return giveText(std::move(report), json);
  });
}

quern_status quern_measure_peak(const char *target_cpu, double *gflops) {
  return guarded([&]() -> Status {
    QUERN_TRY(require(gflops, "gflops"));
    QUERN_ASSIGN(EnginePeaks peaks, measurePeaks(textOr(target_cpu, "host")));
    *gflops = peaks.float32;
    return Status::ok();
  });
}
