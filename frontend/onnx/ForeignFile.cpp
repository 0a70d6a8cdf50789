//===- ForeignFile.cpp - files that are no ONNX models --------------------===//
//
// One table: how a kind of file is known, what to call it, and what to do.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/ForeignFile.h"

#include "runtime/system/FileDescriptor.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <unistd.h>
#include <vector>

using namespace quern;
using namespace std::string_view_literals;
namespace fs = std::filesystem;

namespace {
/// What a file begins and ends with; a ZIP file has its members' names at its end.
struct FileEnds {
  std::string head, tail;
  std::string path;
  bool isProtobuf = false;
  /// The numbers of the outermost fields, if it is a protobuf message with few of them.
  std::vector<int> fields = {};

  bool beginsWith(std::string_view magic, size_t offset = 0) const {
    return head.size() >= offset && std::string_view(head).substr(offset).starts_with(magic);
  }
  bool isNamed(std::string_view suffix) const {
    return path.size() >= suffix.size() &&
           std::equal(
               suffix.begin(), suffix.end(), path.end() - static_cast<long>(suffix.size()),
               [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
  }
  bool isZip() const { return beginsWith("PK\x03\x04"); }
  bool holds(std::string_view member) const {
    return isZip() && (head.find(member) != std::string::npos || //
                       tail.find(member) != std::string::npos);
  }
  /// Most text, too, can be parsed as protobuf.
  bool isText() const {
    return std::none_of(head.begin(), head.end(), [](char c) { return c >= 0 && c < '\t'; });
  }
  bool mentions(std::string_view word) const { return head.find(word) != std::string::npos; }
  /// A header of zlib, which joblib's compressed pickles begin with.
  bool isZlib() const {
    if (head.size() < 2)
      return false;
    auto method = static_cast<unsigned char>(head[0]), flags = static_cast<unsigned char>(head[1]);
    return method == 0x78 && (method * 256U + flags) % 31 == 0;
  }
};

struct ForeignKind {
  bool (*matches)(const FileEnds &);
  const char *what;
  const char *advice;
};

constexpr const char *kExportTorch =
    "\n  export it where its class is at hand, in Python: model.eval()"
    "\n  torch.onnx.export(model, (example_input,), \"model.onnx\", dynamo=True)";
constexpr const char *kExportKeras =
    "\n  in Python (quern.compile(\"FILE\") does it): import keras, tensorflow as tf"
    "\n  open(\"model.tflite\", \"wb\").write(tf.lite.TFLiteConverter.from_keras_model("
    "keras.saving.load_model(\"FILE\")).convert())";
constexpr const char *kExportSavedModel =
    "\n  in Python (quern.compile(\"FOLDER\") does it): import tensorflow as tf"
    "\n  open(\"model.tflite\", \"wb\").write("
    "tf.lite.TFLiteConverter.from_saved_model(\"FOLDER\").convert())";
constexpr const char *kExportEstimator =
    "\n  if it is a scikit-learn estimator, in Python: import joblib, skl2onnx"
    "\n  open(\"model.onnx\", \"wb\").write(skl2onnx.to_onnx(joblib.load(\"FILE\"), "
    "X[:1]).SerializeToString())";
constexpr const char *kExportHub = "\n  export the model that it was made of:"
                                   "\n  pip install optimum-onnx; optimum-cli export onnx --model "
                                   "NAME_OR_FOLDER onnx_folder/";
constexpr const char *kTakeOther =
    "\n  no program turns it into ONNX: take the model that it was converted from,"
    "\n  or export one from the framework that the model was trained with";
constexpr const char *kUnpack = "\n  unpack it and give the .onnx file in it";
constexpr const char *kTakeSource =
    "\n  it cannot be turned back: take the ONNX model that it was made of,"
    "\n  or export one from the framework that the model was trained with";
constexpr const char *kArrays = "\n  it is no model but values for one: quern run MODEL --input "
                                "NAME=FILE";

/// The first row that matches counts.
constexpr ForeignKind kKinds[] = {
    // ZIP files.
    {[](const FileEnds &f) { return f.holds("constants.pkl"); }, "a TorchScript file",
     "\n  in Python: module = torch.jit.load(\"FILE\").eval()"
     "\n  torch.onnx.export(module, (example_input,), \"model.onnx\", dynamo=False)"},
    {[](const FileEnds &f) {
       return f.holds("serialized_exported_program") || f.holds("models/model.json") ||
              (f.isZip() && f.isNamed(".pt2"));
     },
     "a program of torch.export",
     "\n  in Python (quern.compile(\"FILE\") does it): program = torch.export.load(\"FILE\")"
     "\n  torch.onnx.export(program, f=\"model.onnx\", dynamo=True)"},
    {[](const FileEnds &f) { return f.holds("data.pkl"); }, "a PyTorch file", kExportTorch},
    {[](const FileEnds &f) {
       return f.holds("model.weights.h5") || (f.isZip() && f.isNamed(".keras"));
     },
     "a Keras model", kExportKeras},
    {[](const FileEnds &f) { return f.holds(".npy"); }, "a NumPy archive (.npz)",
     "\n  it is no model but values for one: quern run MODEL --input FILE"},
    {[](const FileEnds &f) { return f.isZip(); }, "a ZIP archive", kUnpack},
    // Models of other programs.
    {[](const FileEnds &f) { return f.beginsWith("\x89HDF\r\n\x1a\n"); },
     "an HDF5 file, as Keras wrote models", kExportKeras},
    {[](const FileEnds &f) { return f.beginsWith("TFL3", 4); }, "a TensorFlow Lite model",
     "\n  which is run, compiled and explained as it is; only ONNX models are rewritten"},
    {[](const FileEnds &f) { return f.beginsWith("ORTM", 4); },
     "a model in ONNX Runtime's own format (.ort)",
     "\n  give the .onnx file that it was made of; a .ort file cannot be turned back"},
    // Schema version 1 and graphs, no more.
    {[](const FileEnds &f) {
       return f.isNamed("saved_model.pb") ||
              (f.beginsWith("\x08\x01\x12") &&
               std::ranges::all_of(f.fields, [](int field) { return field == 1 || field == 2; }) &&
               f.fields.size() > 1);
     },
     "a TensorFlow SavedModel", kExportSavedModel},
    {[](const FileEnds &f) {
       return f.beginsWith("ftrt") || f.beginsWith("ptrt") || f.isNamed(".engine") ||
              f.isNamed(".trt");
     },
     "a TensorRT engine, which is code for one kind of GPU", kTakeSource},
    {[](const FileEnds &f) {
       return (f.beginsWith("<?xml") || f.beginsWith("<net ")) && f.mentions("<net ");
     },
     "an OpenVINO model", kTakeOther},
    // A version, a description, and one of the kinds of models, whose numbers begin at 200.
    {[](const FileEnds &f) {
       return f.isNamed(".mlmodel") ||
              (f.beginsWith("\x08") &&
               std::ranges::any_of(f.fields, [](int field) { return field >= 200; }));
     },
     "a Core ML model", kTakeOther},
    {[](const FileEnds &f) { return f.isNamed(".pdmodel"); }, "a PaddlePaddle model",
     "\n  pip install paddle2onnx"
     "\n  paddle2onnx --model_dir FOLDER --model_filename FILE --params_filename FILE.pdiparams "
     "--save_file model.onnx"},
    {[](const FileEnds &f) { return f.beginsWith("tree\nversion="); }, "a LightGBM model",
     "\n  in Python: onnxmltools.convert_lightgbm(lightgbm.Booster(model_file=\"FILE\"),"
     "\n  initial_types=[(\"x\", onnxmltools.convert.common.data_types.FloatTensorType([None, "
     "COLUMNS]))])"},
    {[](const FileEnds &f) {
       return f.beginsWith("{\"learner\"") || f.beginsWith("{L\0\0\0\0\0\0\0\x07learner"sv);
     },
     "an XGBoost model",
     "\n  in Python: onnxmltools.convert_xgboost(booster, initial_types=[(\"x\","
     "\n  onnxmltools.convert.common.data_types.FloatTensorType([None, COLUMNS]))])"},
    {[](const FileEnds &f) { return f.beginsWith("CBM1"); }, "a CatBoost model",
     "\n  in Python: model = catboost.CatBoost().load_model(\"FILE\")"
     "\n  model.save_model(\"model.onnx\", format=\"onnx\")"},
    // Pickles; PyTorch's of old begin with a number of its own.
    {[](const FileEnds &f) { return f.beginsWith("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9"); },
     "a PyTorch file", kExportTorch},
    {[](const FileEnds &f) {
       return f.isNamed(".joblib") || f.isNamed(".pkl") || f.isNamed(".pickle") ||
              (f.head.size() > 1 && f.head[0] == '\x80' && f.head[1] >= 2 && f.head[1] <= 5) ||
              (f.isZlib() && !f.isText());
     },
     "a Python pickle", kExportEstimator},
    // Weights without a graph.
    {[](const FileEnds &f) { return f.beginsWith("GGUF"); }, "a GGUF file (weights for llama.cpp)",
     kExportHub},
    {[](const FileEnds &f) { return f.beginsWith("{", 8) && f.mentions("\"data_offsets\""); },
     "a safetensors file: weights without the graph", kExportHub},
    {[](const FileEnds &f) {
       return f.isNamed(".onnx_data") || f.isNamed(".onnx.data") || f.isNamed(".weights");
     },
     "a file of weights, which a model names", "\n  give the .onnx file beside it"},
    {[](const FileEnds &f) {
       std::error_code ignored;
       return f.isNamed(".bin") && fs::exists(fs::path(f.path).replace_extension(".xml"), ignored);
     },
     "the weights of an OpenVINO model", kTakeOther},
    // Archives, arrays, text.
    {[](const FileEnds &f) { return f.beginsWith("\x1f\x8b"); }, "a gzip file",
     "\n  unpack it: gunzip --keep --stdout FILE > model.onnx (a .tar.gz: tar xf FILE)"},
    {[](const FileEnds &f) {
       return f.beginsWith("BZh") ||
              f.beginsWith("\xfd"
                           "7zXZ") ||
              f.beginsWith("\x28\xb5\x2f\xfd") || f.beginsWith("7z\xbc\xaf") ||
              f.beginsWith("ustar", 257);
     },
     "an archive", kUnpack},
    {[](const FileEnds &f) { return f.beginsWith("\x93NUMPY"); }, "a NumPy array (.npy)", kArrays},
    {[](const FileEnds &f) { return f.beginsWith("version https://git-lfs."); },
     "a Git LFS pointer, in place of the file",
     "\n  fetch the file: git lfs install; git lfs pull --include FILE"},
    {[](const FileEnds &f) {
       return f.beginsWith("<!DOCTYPE html") || f.beginsWith("<!doctype html") ||
              f.beginsWith("<html");
     },
     "a web page",
     "\n  the link leads to a page about the file: download the file itself (GitHub: \"raw\";"
     "\n  Hugging Face: /resolve/ in the address instead of /blob/)"},
    {[](const FileEnds &f) {
       return f.beginsWith("ML\xefR") || f.isNamed(".mlir") || f.isNamed(".mlirbc");
     },
     "MLIR", "\n  quern takes ONNX models; quern-opt takes textual MLIR in Quern's dialect"},
    {[](const FileEnds &f) { return f.beginsWith("BC\xc0\xde") || f.beginsWith("!<arch>\n"); },
     "compiled code", "\n  of what quern compile makes, only a library (.so) can be run"},
    // Last: many are called so.
    {[](const FileEnds &f) { return f.isProtobuf && !f.isText() && f.isNamed(".pb"); },
     "a protobuf file of another kind: a TensorFlow graph, or a value for a model",
     "\n  a graph: python3 -m tf2onnx.convert --graphdef FILE --inputs x:0 --outputs y:0 "
     "--output model.onnx"
     "\n  a value: quern run MODEL --input NAME=FILE"},
};
} // namespace

static std::string readPart(const FileDescriptor &file, int64_t offset, int64_t bytes) {
  std::string part(static_cast<size_t>(bytes), '\0');
  ssize_t got = pread(file.get(), part.data(), part.size(), offset);
  part.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return part;
}

/// Takes a varint off the front; nothing when there is none.
static std::optional<uint64_t> takeVarint(std::string_view &bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 63 && !bytes.empty(); shift += 7) {
    auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80)
      return value;
  }
  return std::nullopt;
}

/// The outermost fields of a protobuf message, of which only the tags are read; none when the file
/// is something else, or has many.
static std::vector<int> readFields(const FileDescriptor &file, int64_t size) {
  constexpr size_t kMostFields = 64;
  std::vector<int> fields;
  for (int64_t offset = 0; offset < size;) {
    std::string part = readPart(file, offset, std::min<int64_t>(size - offset, 20));
    std::string_view rest = part;
    auto tag = takeVarint(rest);
    uint64_t wire = tag.value_or(7) & 7;
    auto value = wire == 0 || wire == 2 ? takeVarint(rest) : tag;
    if (!tag || !value || *tag < 8 || *tag > INT32_MAX || fields.size() == kMostFields)
      return {};
    uint64_t payload = wire == 0   ? 0
                       : wire == 1 ? 8
                       : wire == 2 ? *value
                       : wire == 5 ? 4
                                   : UINT64_MAX;
    int64_t next = offset + static_cast<int64_t>(part.size() - rest.size());
    if (payload > static_cast<uint64_t>(size - next))
      return {};
    offset = next + static_cast<int64_t>(payload);
    fields.push_back(static_cast<int>(*tag >> 3));
  }
  return fields;
}

std::string quern::onnx::describeForeignFile(const std::string &path, bool isProtobuf) {
  constexpr int64_t kHead = 4096, kTail = 65536;
  auto file = openRegularFile(path);
  if (!file || file->size == 0)
    return "";
  int64_t tailBytes = std::min(file->size, kTail);
  FileEnds ends{.head = readPart(file->descriptor, 0, std::min(file->size, kHead)),
                .tail = readPart(file->descriptor, file->size - tailBytes, tailBytes),
                .path = path,
                .isProtobuf = isProtobuf,
                .fields = readFields(file->descriptor, file->size)};
  for (const ForeignKind &kind : kKinds)
    if (kind.matches(ends))
      return std::string(kind.what) + kind.advice;
  return "";
}

/// What to do about a folder, by what lies in it.
static std::string describeFolder(const fs::path &folder) {
  std::error_code ignored;
  auto has = [&](const char *name) { return fs::exists(folder / name, ignored); };
  if (has("saved_model.pb"))
    return std::string("a TensorFlow SavedModel") + kExportSavedModel;
  if (has("Manifest.json") && has("Data"))
    return std::string("a Core ML package") + kTakeOther;
  if (has("config.json") && !has("model.onnx"))
    return std::string("a model of Hugging Face's libraries") + kExportHub;
  constexpr int kMostEntries = 1000;
  int seen = 0;
  for (fs::directory_iterator each(folder, ignored), end; each != end && seen < kMostEntries;
       each.increment(ignored), ++seen)
    if (each->path().extension() == ".onnx")
      return "a folder\n  give the model in it: " + each->path().filename().string();
  return "a folder\n  give an ONNX model file";
}

std::string quern::onnx::describeForeignPath(const std::string &path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored))
    return describeFolder(path);
  size_t scheme = path.find("://");
  if (scheme != std::string::npos && scheme > 1 && path.find('/') > scheme)
    return "a URL\n  download the file first: curl --location --output model.onnx URL";
  return "";
}
