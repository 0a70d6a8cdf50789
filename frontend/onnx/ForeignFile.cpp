//===- ForeignFile.cpp - files that are no ONNX models --------------------===//
//
// One table: how a kind of file is known, what to call it, and what to do.
//
//===----------------------------------------------------------------------===//
#include "frontend/onnx/ForeignFile.h"

#include "runtime/system/FileDescriptor.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>
#include <unistd.h>

using namespace quern;
using namespace std::string_view_literals;
namespace fs = std::filesystem;

namespace {
/// What a file begins and ends with; a ZIP file has its members' names at its end.
struct FileEnds {
  std::string head, tail;
  std::string path;
  bool isProtobuf = false;

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
    "\n  in Python, with Keras 3.8 and tf2onnx:"
    "\n  keras.saving.load_model(\"FILE\").export(\"model.onnx\", format=\"onnx\")";
constexpr const char *kExportEstimator =
    "\n  if it is a scikit-learn estimator, in Python: import joblib, skl2onnx"
    "\n  open(\"model.onnx\", \"wb\").write(skl2onnx.to_onnx(joblib.load(\"FILE\"), "
    "X[:1]).SerializeToString())";
constexpr const char *kExportHub = "\n  export the model that it was made of:"
                                   "\n  pip install optimum-onnx; optimum-cli export onnx --model "
                                   "NAME_OR_FOLDER onnx_folder/";
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
       return f.holds("serialized_exported_program") || (f.isZip() && f.isNamed(".pt2"));
     },
     "a program of torch.export",
     "\n  in Python: program = torch.export.load(\"FILE\")"
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
    {[](const FileEnds &f) { return f.isNamed("saved_model.pb"); }, "a TensorFlow SavedModel",
     "\n  pip install tf2onnx"
     "\n  python3 -m tf2onnx.convert --saved-model FOLDER_OF_IT --output model.onnx"},
    {[](const FileEnds &f) {
       return f.beginsWith("ftrt") || f.beginsWith("ptrt") || f.isNamed(".engine") ||
              f.isNamed(".trt");
     },
     "a TensorRT engine, which is code for one kind of GPU", kTakeSource},
    {[](const FileEnds &f) { return f.beginsWith("<?xml") && f.mentions("<net "); },
     "an OpenVINO model", kTakeSource},
    {[](const FileEnds &f) { return f.isNamed(".mlmodel"); }, "a Core ML model", kTakeSource},
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
              (f.head.size() > 1 && f.head[0] == '\x80' && f.head[1] >= 2 && f.head[1] <= 5);
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
     "the weights of an OpenVINO model", kTakeSource},
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

std::string quern::onnx::describeForeignFile(const std::string &path, bool isProtobuf) {
  constexpr int64_t kHead = 4096, kTail = 65536;
  auto file = openRegularFile(path);
  if (!file || file->size == 0)
    return "";
  int64_t tailBytes = std::min(file->size, kTail);
  FileEnds ends{.head = readPart(file->descriptor, 0, std::min(file->size, kHead)),
                .tail = readPart(file->descriptor, file->size - tailBytes, tailBytes),
                .path = path,
                .isProtobuf = isProtobuf};
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
    return "a TensorFlow SavedModel\n  pip install tf2onnx"
           "\n  python3 -m tf2onnx.convert --saved-model FOLDER --output model.onnx";
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
