//===- TopClasses.h - the largest of a model's scores ---------------------===//
#pragma once

#include "quern/ImageInput.h"
#include "tools/quern/Console.h"

#include <CLI/App.hpp>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace quern::cli {

struct TopOptions {
  std::optional<int64_t> count;
  /// A file with a label a line; empty for those in the model's file, if there are any.
  std::string labels;
  bool softmax = false;

  bool isAsked() const { return count || softmax || !labels.empty(); }
};

void addTopOptions(CLI::App &verb, TopOptions &options);

/// A class and its score, and its label where there are labels.
struct RankedClass {
  int64_t number = 0;
  double score = 0;
  std::string label;
};

/// The labels of each output of a model; empty without any.
using OutputLabels = std::vector<std::vector<std::string>>;
/// Those of the file asked for, of all outputs with as many classes, else those in the model's own
/// file. InvalidInput, naming the counts, when no output has as many.
Expected<OutputLabels> readLabels(const TopOptions &options, const std::string &modelPath,
                                  std::span<const PortSignature> ports,
                                  std::span<const AnyValue> values, const Limits &limits);

/// The classes with the largest scores of each row of one output, the first of equal ones first;
/// no rows of what are no scores: others than numbers of one or two dimensions.
std::vector<std::vector<RankedClass>> rankClasses(const AnyValue &value, const TopOptions &options,
                                                  const std::vector<std::string> &labels);

/// A table, and rows as JSON has them.
std::string describeClasses(const std::vector<std::vector<RankedClass>> &rows);
nlohmann::ordered_json classesJson(const std::vector<std::vector<RankedClass>> &rows);

} // namespace quern::cli
