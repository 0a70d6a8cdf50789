//===- Options.cpp - options that verbs share -----------------------------===//
#include "tools/quern/Options.h"

#include "tools/quern/Duration.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <concepts>
#include <fmt/format.h>
#include <type_traits>

using namespace quern;
using namespace quern::cli;

void cli::addTimeoutOption(CLI::App &verb, std::string &timeout) {
  verb.add_option("--timeout", timeout,
                  "Gives up (exit code 9) when loading, compiling and running take longer: 500ms, "
                  "3s, 2min")
      ->type_name("TIME");
}

Expected<Limits> cli::limitsWithTimeout(const std::string &timeout) {
  Limits limits;
  if (timeout.empty())
    return limits;
  auto seconds = parseSeconds(timeout);
  if (!seconds)
    return seconds.status().withContext("--timeout");
  if (*seconds == 0)
    return usageError("--timeout " + timeout + ": wanted more than 0");
  // Longer than anybody waits, and few enough to count in nanoseconds.
  constexpr double kLongest = 1e9;
  limits.deadline = Deadline::after(
      std::chrono::nanoseconds(static_cast<int64_t>(std::min(*seconds, kLongest) * 1e9)));
  return limits;
}

void cli::addMaxTimeOption(CLI::App &verb, TimeBudget &budget, const std::string &description) {
  verb.add_option("--max-time", budget.text, description)->type_name("TIME");
}

Expected<std::optional<double>> TimeBudget::milliseconds() const {
  if (text.empty())
    return std::optional<double>();
  auto seconds = parseSeconds(text);
  if (!seconds)
    return seconds.status().withContext("--max-time");
  return std::optional(*seconds * 1e3);
}

Status TimeBudget::check(std::string_view what, double milliseconds) const {
  QUERN_ASSIGN(std::optional<double> most, this->milliseconds());
  if (!most || milliseconds <= *most)
    return Status::ok();
  return Status(StatusCode::TooSlow, fmt::format("{} took {:.3g} ms, longer than --max-time {}",
                                                 what, milliseconds, text));
}

void cli::addModelOptions(CLI::App &verb, ModelOptions &options) {
  verb.add_option("MODEL", options.path, "A model file: ONNX or TensorFlow Lite")
      ->required()
      ->type_name("FILE");
  verb.add_option("--shape", options.shapes, "Shape of an input: NAME=1x3x224x224")
      ->type_name("NAME=SIZES")
      ->take_all()
      ->allow_extra_args(false);
  verb.add_option("--dim", options.dims, "Size of a symbolic dimension: N=1")
      ->type_name("NAME=SIZE")
      ->take_all()
      ->allow_extra_args(false);
  verb.add_flag("--growing-caches", options.growingCaches,
                "Inputs that outputs continue (past keys and values), and these outputs, have the "
                "dimension that grows first: such an output may begin in its input's memory, and "
                "only what is new is written");
  addTimeoutOption(verb, options.timeout);
}

namespace {
struct ImageOption {
  const char *flag;
  std::string ImageArguments::*value;
  const char *name;
  const char *description;
  std::vector<std::string> choices;
};
} // namespace

static void addImageOptions(CLI::App &verb, ImageArguments &arguments) {
  static const std::vector<ImageOption> kOptions = {
      {"--image-preset",
       &ImageArguments::preset,
       "NAME",
       "How images become inputs: as torchvision, TensorFlow (from -1 to 1) or Caffe have them; "
       "the options below come before it, the model's metadata after it",
       {"torch", "tf", "caffe"}},
      {"--image-size",
       &ImageArguments::size,
       "SIZE",
       "HEIGHTxWIDTH of images where the model takes any: 224x224",
       {}},
      {"--image-fit",
       &ImageArguments::fit,
       "HOW",
       "What is not of that size is stretched (default), cropped around its centre, or padded "
       "with black",
       {"stretch", "crop", "pad"}},
      {"--image-crop",
       &ImageArguments::crop,
       "PART",
       "What part of the shorter side --image-fit crop keeps (default 1)",
       {}},
      {"--image-filter",
       &ImageArguments::filter,
       "NAME",
       "How images are resized, as Pillow does it (default bilinear)",
       {"nearest", "bilinear", "bicubic"}},
      {"--image-layout",
       &ImageArguments::layout,
       "LAYOUT",
       "Where the channels are, if the input does not tell",
       {"nchw", "nhwc"}},
      {"--image-colors",
       &ImageArguments::colors,
       "ORDER",
       "The channels of an image (default rgb, of one channel gray)",
       {"rgb", "bgr", "gray"}},
      {"--image-scale",
       &ImageArguments::scale,
       "NUMBER",
       "Floats are (pixel * scale - mean) / std of pixels from 0 to 255 (default 1/255)",
       {}},
      {"--image-mean",
       &ImageArguments::mean,
       "NUMBERS",
       "The mean, one for all channels or one for each, in the model's order (default 0)",
       {}},
      {"--image-std", &ImageArguments::deviation, "NUMBERS", "The std, likewise (default 1)", {}},
  };
  for (const ImageOption &option : kOptions) {
    CLI::Option *added = verb.add_option(option.flag, arguments.*option.value, option.description);
    if (option.choices.empty())
      added->type_name(option.name);
    else
      added->check(CLI::IsMember(option.choices));
  }
}

static void addTableOptions(CLI::App &verb, TableOptions &options) {
  verb.add_option("--columns", options.columns,
                  "The columns of a table that a model's input takes, in order: age,height; of "
                  "several inputs NAME=age,height (default: all, or the one of the input's name)")
      ->type_name("[NAME=]COLUMNS")
      ->take_all()
      ->allow_extra_args(false);
  verb.add_option("--missing", options.missing,
                  "What stands for numbers that a table lacks: nan or a number (default: they are "
                  "refused)")
      ->type_name("VALUE");
  verb.add_option("--separator", options.separator,
                  "What is between the columns of a table: a character, or tab (default: a comma, "
                  "of .tsv files a tab)")
      ->type_name("CHARACTER");
}

void cli::addInputOptions(CLI::App &verb, InputOptions &options) {
  verb.add_option(
          "--input", options.given,
          "NAME=FILE.npy, NAME=FILE.pb, NAME=random, NAME=zeros; a .npz file with the "
          "names of the inputs (others are left out with a warning; a single array arr_0 is "
          "that of a single input); a folder with "
          "input_0.pb, ...; NAME=IMAGE or IMAGE, a JPEG, PNG, WebP, BMP, TIFF, PNM or JPEG 2000 "
          "file; FILE.csv or .tsv, a table whose columns are the inputs; random or zeros for the "
          "rest")
      ->type_name("INPUT")
      ->take_all()
      ->allow_extra_args(false);
  verb.add_flag(
      "--cast", options.cast,
      "Convert the numbers of files to the types of the inputs; what does not fit, such as "
      "1.5 for an integer, is an error");
  verb.add_option("--seed", options.seed,
                  "Of random inputs, and of nodes that draw at random (default 0)")
      ->check(CLI::NonNegativeNumber);
  addImageOptions(verb, options.images);
  addTableOptions(verb, options.table);
  verb.get_option("MODEL")->each([&options](const std::string &path) { options.model = path; });
}

void cli::addSampleOptions(CLI::App &verb, InputOptions &options) {
  verb.add_option("--input", options.given,
                  "What --precision auto measures errors on, as quern run takes it (default: "
                  "random)")
      ->type_name("INPUT")
      ->take_all()
      ->allow_extra_args(false);
  verb.add_flag("--cast", options.cast, "Convert its numbers to the types of the inputs");
  verb.get_option("MODEL")->each([&options](const std::string &path) { options.model = path; });
}

//===----------------------------------------------------------------------===//
// Rows of options
//===----------------------------------------------------------------------===//

static CLI::Option *addRow(CLI::App &verb, const OptionText &text, std::string &value) {
  return verb.add_option(text.flag, value, text.description);
}

static CLI::Option *addRow(CLI::App &verb, const OptionText &text, bool &value) {
  return verb.add_flag_callback(
      text.flag, [&value, contrary = !value] { value = contrary; }, text.description);
}

static CLI::Option *addRow(CLI::App &verb, const OptionText &text,
                           std::vector<std::string> &value) {
  return verb.add_option(text.flag, value, text.description)->delimiter(',');
}

static CLI::Option *addRow(CLI::App &verb, const OptionText &text, Backend &value) {
  return verb
      .add_option_function<std::string>(
          text.flag,
          [&value](const std::string &name) {
            value = name == "interpreter" ? Backend::Interpreter : Backend::Native;
          },
          text.description)
      ->check(CLI::IsMember({"native", "interpreter"}));
}

static CLI::Option *addRow(CLI::App &verb, const OptionText &text, Precision &value) {
  return verb
      .add_option_function<std::string>(
          text.flag, [&value](const std::string &name) { value = parsePrecision(name).take(); },
          text.description)
      ->check(CLI::IsMember({"f32", "bf16", "f16", "int8", "auto"}));
}

static CLI::Option *addRow(CLI::App &verb, const OptionText &text, WeightType &value) {
  return verb
      .add_option_function<std::string>(
          text.flag, [&value](const std::string &name) { value = parseWeightType(name).take(); },
          text.description)
      ->check(CLI::IsMember({"given", "int8", "int4"}));
}

static CLI::Option *addRow(CLI::App &verb, const OptionText &text, WinogradUse &value) {
  return verb
      .add_option_function<std::string>(
          text.flag, [&value](const std::string &name) { value = parseWinogradUse(name).take(); },
          text.description)
      ->check(CLI::IsMember({"auto", "off"}));
}

static CLI::Option *addRow(CLI::App &verb, const OptionText &text, std::optional<double> &value) {
  return verb.add_option(text.flag, value, text.description);
}

static CLI::Option *addRow(CLI::App &verb, const OptionText &text, double &value) {
  return verb.add_option(text.flag, value, text.description)->check(CLI::NonNegativeNumber);
}

template <std::integral Number>
static CLI::Option *addRow(CLI::App &verb, const OptionText &text, Number &value) {
  CLI::Option *option = verb.add_option(text.flag, value, text.description);
  if (text.most != OptionText::kAny)
    return option->check(CLI::Range(text.least, text.most));
  return option->check(text.least > 0 ? static_cast<const CLI::Validator &>(CLI::PositiveNumber)
                                      : CLI::NonNegativeNumber);
}

/// A visitor that adds those of the options for `use` that have a flag.
template <typename Options> static auto addRowsTo(CLI::App &verb, Options &options, OptionUse use) {
  return [&verb, &options, use](const OptionText &text, auto Options::*member) {
    if constexpr (!std::is_same_v<decltype(member), std::vector<ListedSize> Options::*>) {
      if (!*text.flag || (text.use != OptionUse::Everywhere && text.use != use))
        return;
      CLI::Option *option = addRow(verb, text, options.*member);
      if (*text.value)
        option->type_name(text.value);
    }
  };
}

void cli::addCompileOptions(CLI::App &verb, CompileOptions &options, OptionUse use) {
  visitCompileOptions(addRowsTo(verb, options, use));
}

void cli::addArtifactOptions(CLI::App &verb, ArtifactOptions &options) {
  visitArtifactOptions(addRowsTo(verb, options, OptionUse::Everywhere));
  verb.get_option("--multi-cpu")->excludes("--target-cpu");
}

void cli::addQuantizeOptions(CLI::App &verb, QuantizeOptions &options) {
  visitQuantizeOptions(addRowsTo(verb, options, OptionUse::Everywhere));
  verb.get_option("--mode")->check(
      CLI::IsMember({"static", "dynamic", "weights-int8", "weights-int4", "float16"}));
  verb.get_option("--calibration")
      ->check(CLI::IsMember({"min-max", "percentile", "entropy", "mse"}));
}

void cli::addStyleOptions(CLI::App &verb, OutputStyle &style) {
  // A bare --json arrives as --json=-; see CommandLine.cpp.
  verb.add_option("--json", style.jsonPath, "Prints one JSON object, or writes it: --json=FILE")
      ->type_name(kOptionalFile);
  verb.add_flag("-v,--verbose", style.verbosity, "Says more");
  verb.add_flag_callback(
          "-q,--quiet", [&style] { style.verbosity = -1; }, "No notes")
      ->excludes("--verbose");
  verb.add_option("--color", style.color, "auto (default), always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
}

static bool parseSize(std::string_view text, int64_t &size) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  return error == std::errc() && end == text.data() + text.size() && size >= 0;
}

/// "1x3x224x224"; "scalar" for rank 0.
static bool parseSizes(std::string_view text, std::vector<int64_t> &sizes) {
  while (text != "scalar") {
    size_t end = text.find('x');
    if (!parseSize(text.substr(0, end), sizes.emplace_back()))
      return false;
    if (end == std::string_view::npos)
      break;
    text.remove_prefix(end + 1);
    if (text == "scalar")
      return false;
  }
  return true;
}

Expected<InputSizes> cli::parseInputSizes(const ModelOptions &options) {
  InputSizes sizes{.growingCaches = options.growingCaches};
  // A name may contain '=', a size may not.
  for (const std::string &text : options.shapes) {
    size_t split = text.rfind('=');
    std::vector<int64_t> shape;
    if (split == std::string::npos || split == 0 ||
        !parseSizes(std::string_view(text).substr(split + 1), shape))
      return usageError("--shape " + text + ": wanted NAME=SIZES, as in image=1x3x224x224");
    if (!sizes.shapes.try_emplace(text.substr(0, split), std::move(shape)).second)
      return usageError("--shape " + text + ": this input already has a shape");
  }
  for (const std::string &text : options.dims) {
    size_t split = text.rfind('=');
    int64_t size = 0;
    if (split == std::string::npos || split == 0 ||
        !parseSize(std::string_view(text).substr(split + 1), size))
      return usageError("--dim " + text + ": wanted NAME=SIZE, as in N=1");
    if (!sizes.dims.try_emplace(text.substr(0, split), size).second)
      return usageError("--dim " + text + ": this dimension already has a size");
  }
  return sizes;
}
