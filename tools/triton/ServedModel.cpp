//===- ServedModel.cpp - a model that Triton serves -----------------------===//
#include "ServedModel.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <sstream>

using namespace quern::triton;
using nlohmann::json;

Failure quern::triton::invalid(const std::string &message) {
  return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INVALID_ARG, message.c_str());
}

Failure quern::triton::failureOf(quern_status status) {
  switch (status) {
  case QUERN_STATUS_OK:
    return nullptr;
  case QUERN_STATUS_USAGE:
  case QUERN_STATUS_INVALID_MODEL:
  case QUERN_STATUS_INVALID_INPUT:
    return invalid(quern_last_error());
  case QUERN_STATUS_UNSUPPORTED:
  case QUERN_STATUS_INCOMPATIBLE:
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_UNSUPPORTED, quern_last_error());
  case QUERN_STATUS_RESOURCE_LIMIT:
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_UNAVAILABLE, quern_last_error());
  default:
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, quern_last_error());
  }
}

TRITONSERVER_DataType quern::triton::dataTypeOf(int32_t dtype) {
  // By the numbers of onnx.TensorProto.DataType; strings are not passed on.
  constexpr TRITONSERVER_DataType kTypes[] = {
      TRITONSERVER_TYPE_INVALID, TRITONSERVER_TYPE_FP32,   TRITONSERVER_TYPE_UINT8,
      TRITONSERVER_TYPE_INT8,    TRITONSERVER_TYPE_UINT16, TRITONSERVER_TYPE_INT16,
      TRITONSERVER_TYPE_INT32,   TRITONSERVER_TYPE_INT64,  TRITONSERVER_TYPE_INVALID,
      TRITONSERVER_TYPE_BOOL,    TRITONSERVER_TYPE_FP16,   TRITONSERVER_TYPE_FP64,
      TRITONSERVER_TYPE_UINT32,  TRITONSERVER_TYPE_UINT64, TRITONSERVER_TYPE_INVALID,
      TRITONSERVER_TYPE_INVALID, TRITONSERVER_TYPE_BF16};
  return dtype >= 0 && dtype < static_cast<int32_t>(std::size(kTypes)) ? kTypes[dtype]
                                                                       : TRITONSERVER_TYPE_INVALID;
}

/// config.pbtxt, as the server has read and completed it.
static Failure readConfig(TRITONBACKEND_Model *model, json &config) {
  TRITONSERVER_Message *message = nullptr;
  if (Failure failure = TRITONBACKEND_ModelConfig(model, 1, &message))
    return failure;
  const char *text = nullptr;
  size_t size = 0;
  Failure failure = TRITONSERVER_MessageSerializeToJson(message, &text, &size);
  if (!failure) {
    config = json::parse(text, text + size, nullptr, false);
    if (!config.is_object())
      failure = invalid("the model's configuration is no object");
  }
  if (Failure other = TRITONSERVER_MessageDelete(message))
    TRITONSERVER_ErrorDelete(other);
  return failure;
}

static std::string parameterOf(const json &config, const char *name) {
  return config.value(json::json_pointer(std::string("/parameters/") + name + "/string_value"),
                      std::string());
}

/// Numbers with commas between them; false when they are none.
static bool readNumbers(const std::string &text, std::vector<int64_t> &numbers) {
  std::istringstream stream(text);
  std::string word;
  while (std::getline(stream, word, ',')) {
    char *end = nullptr;
    int64_t number = std::strtoll(word.c_str(), &end, 10);
    if (word.empty() || *end || number < 0 || number > INT32_MAX)
      return false;
    numbers.push_back(number);
  }
  return true;
}

static Failure modelFile(TRITONBACKEND_Model *model, std::string &path) {
  TRITONBACKEND_ArtifactType kind;
  const char *folder = nullptr;
  uint64_t version = 0;
  if (Failure failure = TRITONBACKEND_ModelRepository(model, &kind, &folder))
    return failure;
  if (Failure failure = TRITONBACKEND_ModelVersion(model, &version))
    return failure;
  std::filesystem::path place = std::filesystem::path(folder) / std::to_string(version);
  for (const char *name : {"model.so", "model.onnx", "model.tflite"}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(place / name, ignored)) {
      path = (place / name).string();
      return nullptr;
    }
  }
  return invalid(place.string() + ": wanted model.onnx, model.tflite or model.so");
}

static Failure compile(const std::string &path, int32_t threads, const std::string &precision,
                       ExecutableHandle &executable) {
  quern_executable *made = nullptr;
  if (path.ends_with(".so")) {
    Failure failure = failureOf(quern_executable_load(path.c_str(), &made));
    executable.reset(made);
    return failure;
  }
  quern_model *loaded = nullptr;
  if (Failure failure = failureOf(quern_model_load(path.c_str(), nullptr, &loaded)))
    return failure;
  ModelHandle model(loaded);
  quern_compile_options options = {};
  options.struct_size = sizeof options;
  options.threads = threads;
  options.precision = precision.empty() ? nullptr : precision.c_str();
  Failure failure = failureOf(quern_model_compile(model.get(), &options, &made));
  executable.reset(made);
  return failure;
}

static Failure readPorts(const quern_executable *executable, ServedModel &served) {
  size_t inputs = 0, outputs = 0;
  if (Failure failure = failureOf(quern_executable_port_counts(executable, &inputs, &outputs)))
    return failure;
  auto read = [&](auto ask, size_t count, std::vector<Port> &ports) -> Failure {
    for (size_t i = 0; i < count; ++i) {
      quern_port port;
      if (Failure failure = failureOf(ask(executable, i, &port)))
        return failure;
      if (port.kind != QUERN_TENSOR || dataTypeOf(port.dtype) == TRITONSERVER_TYPE_INVALID)
        return TRITONSERVER_ErrorNew(
            TRITONSERVER_ERROR_UNSUPPORTED,
            ("'" + std::string(port.name) + "' is " + port.type + ", which is not passed on")
                .c_str());
      ports.push_back({port.name, port.dtype});
    }
    return nullptr;
  };
  if (Failure failure = read(quern_executable_input, inputs, served.inputs))
    return failure;
  return read(quern_executable_output, outputs, served.outputs);
}

Failure ServedModel::load(TRITONBACKEND_Model *model, std::unique_ptr<ServedModel> &served) {
  json config;
  std::string path;
  if (Failure failure = readConfig(model, config))
    return failure;
  if (Failure failure = modelFile(model, path))
    return failure;
  auto made = std::make_unique<ServedModel>();
  std::vector<int64_t> threads;
  if (!readNumbers(parameterOf(config, "threads"), threads) || threads.size() > 1)
    return invalid("the parameter 'threads' is no number");
  made->threads = threads.empty() ? 0 : static_cast<int32_t>(threads.front());
  if (!readNumbers(parameterOf(config, "batch_sizes"), made->batchSizes) ||
      std::count(made->batchSizes.begin(), made->batchSizes.end(), 0))
    return invalid("the parameter 'batch_sizes' is no list of positive numbers");
  std::sort(made->batchSizes.begin(), made->batchSizes.end());
  made->hasRows = config.value("max_batch_size", 0) > 0;
  if (Failure failure =
          compile(path, made->threads, parameterOf(config, "precision"), made->executable))
    return failure;
  if (Failure failure = readPorts(made->executable.get(), *made))
    return failure;
  served = std::move(made);
  return nullptr;
}
