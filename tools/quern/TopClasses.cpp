//===- TopClasses.cpp - the largest of a model's scores -------------------===//
#include "tools/quern/TopClasses.h"

#include "quern/Artifact.h"
#include "quern/EscapedText.h"
#include "quern/OnnxFile.h"
#include "quern/TensorDifference.h"
#include "tools/quern/ZipArchive.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <numeric>

using namespace quern;
using namespace quern::cli;

/// Of a file of labels.
static constexpr int64_t kMostLabelBytes = int64_t{64} << 20;
static constexpr int64_t kDefaultCount = 5;

void cli::addTopOptions(CLI::App &verb, TopOptions &options) {
  verb.add_option(
          "--top", options.count,
          "Show the classes with the largest scores, for each row (default 5 with --labels)")
      ->type_name("COUNT")
      ->check(CLI::PositiveNumber);
  verb.add_option("--labels", options.labels,
                  "The names of the classes, one a line (default: those that a TensorFlow Lite "
                  "file has in it)")
      ->type_name("FILE");
  verb.add_flag("--softmax", options.softmax,
                "With --top: show probabilities, of scores that are logits");
}

/// How many classes the scores are of; 0 of what are no scores.
static int64_t classesOf(const AnyValue &value) {
  const Tensor *tensor = value.asTensor();
  bool isScores = tensor && tensor->dtype() != DType::String && tensor->rank() >= 1 &&
                  tensor->rank() <= 2 && tensor->numElements() > 0;
  return isScores ? tensor->dim(tensor->rank() - 1) : 0;
}

//===----------------------------------------------------------------------===//
// Labels
//===----------------------------------------------------------------------===//

/// Lines without their ends; an empty last one is none.
static std::vector<std::string> linesOf(const FileBytes &file) {
  std::string_view text(reinterpret_cast<const char *>(file.data.get()), file.size);
  if (text.starts_with("\xEF\xBB\xBF"))
    text.remove_prefix(3);
  std::vector<std::string> lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    lines.emplace_back(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

static Expected<OutputLabels> labelsOfFile(const std::string &path,
                                           std::span<const PortSignature> ports,
                                           std::span<const AnyValue> values) {
  QUERN_ASSIGN(FileBytes file, readFile(path, kMostLabelBytes));
  std::vector<std::string> lines = linesOf(file);
  OutputLabels labels(values.size());
  std::vector<std::string> found;
  bool isFitting = false;
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t classes = classesOf(values[i]);
    if (classes == static_cast<int64_t>(lines.size())) {
      labels[i] = lines;
      isFitting = true;
    } else if (classes > 0) {
      found.push_back(fmt::format("'{}' has {} classes", ports[i].name, classes));
    }
  }
  if (isFitting)
    return labels;
  return invalidInput(fmt::format(
      "'{}' has {} labels, but {}", path, lines.size(),
      found.empty() ? "no output has scores" : fmt::format("output {}", fmt::join(found, ", "))));
}

/// What a model's file has in it; labels that do not fit are not shown.
static Expected<OutputLabels> labelsOfModel(const std::string &path,
                                            std::span<const PortSignature> ports,
                                            std::span<const AnyValue> values,
                                            const Limits &limits) {
  OutputLabels labels(values.size());
  if (isLibraryFile(path))
    return labels;
  QUERN_ASSIGN(ModelFacts facts, inspectModelFile(path, limits));
  if (facts.labelFiles.empty())
    return labels;
  QUERN_ASSIGN(InputFile file, openFile(path));
  auto archive = ZipArchive::open(std::move(file), "archive of labels");
  if (!archive)
    return labels; // as of a model that was cut out of its file
  for (const auto &[output, name] : facts.labelFiles)
    for (size_t i = 0; i < values.size(); ++i) {
      std::optional<int64_t> entry = archive->find(name);
      if (ports[i].name != output || !entry || !labels[i].empty())
        continue;
      auto bytes = archive->read(*entry, kMostLabelBytes);
      if (!bytes)
        return bytes.status().withContext("'" + path + "': labels '" + name + "'");
      if (auto lines = linesOf(*bytes); static_cast<int64_t>(lines.size()) == classesOf(values[i]))
        labels[i] = std::move(lines);
    }
  return labels;
}

Expected<OutputLabels> cli::readLabels(const TopOptions &options, const std::string &modelPath,
                                       std::span<const PortSignature> ports,
                                       std::span<const AnyValue> values, const Limits &limits) {
  if (!options.labels.empty())
    return labelsOfFile(options.labels, ports, values);
  return labelsOfModel(modelPath, ports, values, limits);
}

//===----------------------------------------------------------------------===//
// Ranks
//===----------------------------------------------------------------------===//

static void applySoftmax(std::span<double> scores) {
  double largest = *std::ranges::max_element(scores), sum = 0;
  for (double &score : scores)
    sum += score = std::exp(score - largest);
  for (double &score : scores)
    score /= sum;
}

/// What is no number comes last.
static bool isBefore(double a, double b) { return std::isnan(b) ? !std::isnan(a) : a > b; }

std::vector<std::vector<RankedClass>> cli::rankClasses(const AnyValue &value,
                                                       const TopOptions &options,
                                                       const std::vector<std::string> &labels) {
  auto classes = static_cast<size_t>(classesOf(value));
  std::vector<std::vector<RankedClass>> rows;
  if (classes == 0)
    return rows;
  std::vector<double> all = elementsAsDouble(*value.asTensor());
  auto count = std::min(classes, static_cast<size_t>(options.count.value_or(kDefaultCount)));
  std::vector<size_t> order(classes);
  for (size_t begin = 0; begin < all.size(); begin += classes) {
    std::span<double> scores(all.data() + begin, classes);
    if (options.softmax)
      applySoftmax(scores);
    std::iota(order.begin(), order.end(), size_t{0});
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count),
                      order.end(), [&](size_t a, size_t b) {
                        bool isEqual =
                            !isBefore(scores[a], scores[b]) && !isBefore(scores[b], scores[a]);
                        return isEqual ? a < b : isBefore(scores[a], scores[b]);
                      });
    std::vector<RankedClass> &row = rows.emplace_back();
    for (size_t i = 0; i < count; ++i)
      row.push_back({static_cast<int64_t>(order[i]), scores[order[i]],
                     labels.empty() ? "" : labels[order[i]]});
  }
  return rows;
}

std::string cli::describeClasses(const std::vector<std::vector<RankedClass>> &rows) {
  bool isLabelled = false;
  for (const auto &row : rows)
    for (const RankedClass &each : row)
      isLabelled |= !each.label.empty();
  std::vector<std::string> header = {"class", "score"};
  if (isLabelled)
    header = {"label", "class", "score"};
  if (rows.size() > 1)
    header.insert(header.begin(), "row");
  Table table(header, (isLabelled ? 1 : 0) + (rows.size() > 1 ? 1 : 0));
  for (size_t i = 0; i < rows.size(); ++i)
    for (const RankedClass &each : rows[i]) {
      std::vector<std::string> cells = {std::to_string(each.number),
                                        fmt::format("{:.4g}", each.score)};
      if (isLabelled)
        cells.insert(cells.begin(), escapeText(each.label, TextPlace::Line));
      if (rows.size() > 1)
        cells.insert(cells.begin(), std::to_string(i));
      table.addRow(std::move(cells));
    }
  return table.str();
}

nlohmann::ordered_json cli::classesJson(const std::vector<std::vector<RankedClass>> &rows) {
  auto json = nlohmann::ordered_json::array();
  for (const auto &row : rows) {
    auto classes = nlohmann::ordered_json::array();
    for (const RankedClass &each : row) {
      nlohmann::ordered_json object = {{"class", each.number}};
      if (!each.label.empty())
        object["label"] = each.label;
      object["score"] = std::isfinite(each.score) ? nlohmann::ordered_json(each.score)
                                                  : nlohmann::ordered_json(nullptr);
      classes.push_back(std::move(object));
    }
    json.push_back(std::move(classes));
  }
  return json;
}
