//===- ChoiceReport.cpp - what Precision::Auto has come to, as JSON -------===//
#include "api/ChoiceReport.h"

#include "quern/Precision.h"
#include "quern/Reports.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace quern;
namespace json = llvm::json;

static json::Value layerValue(const PrecisionLayer &layer) {
  Precision precision = layer.isLowered ? Precision::BFloat16 : Precision::Float32;
  json::Value error = std::isfinite(layer.error) ? json::Value(layer.error) : json::Value(nullptr);
  return json::Object{{"nodes", json::fixUTF8(layer.node)},
                      {"precision", std::string(precisionName(precision))},
                      {"error", std::move(error)},
                      {"saved_ns", layer.nanosecondsSaved}};
}

std::string quern::choiceReport(const PrecisionChoice &choice) {
  json::Array layers;
  for (const PrecisionLayer &layer : choice.layers)
    layers.push_back(layerValue(layer));
  // Infinite where an output is not finite any more: JSON has no such number.
  auto number = [](double x) { return std::isfinite(x) ? json::Value(x) : json::Value(nullptr); };
  json::Object object{{"max_error", choice.maxError},
                      {"error", number(choice.error)},
                      {"error_of_all", number(choice.errorOfAll)},
                      {"refusal", json::fixUTF8(choice.refusal)},
                      {"random_inputs", choice.isOnRandomInputs},
                      {"layers", std::move(layers)}};
  std::string text;
  llvm::raw_string_ostream(text) << json::Value(std::move(object));
  return text;
}

static std::optional<PrecisionLayer> readLayer(const json::Value &value) {
  const json::Object *object = value.getAsObject();
  auto nodes = object ? object->getString("nodes") : std::nullopt;
  auto precision = object ? object->getString("precision") : std::nullopt;
  if (!nodes || !precision)
    return std::nullopt;
  return PrecisionLayer{
      .node = nodes->str(),
      .isLowered = std::string_view(*precision) == precisionName(Precision::BFloat16),
      .error = object->getNumber("error").value_or(std::numeric_limits<double>::quiet_NaN()),
      .nanosecondsSaved = object->getNumber("saved_ns").value_or(0)};
}

std::optional<PrecisionChoice> quern::readChoice(std::string_view text) {
  llvm::Expected<json::Value> value = json::parse(text);
  if (!value) {
    llvm::consumeError(value.takeError());
    return std::nullopt;
  }
  const json::Object *object = value->getAsObject();
  const json::Array *layers = object ? object->getArray("layers") : nullptr;
  if (!layers)
    return std::nullopt;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  PrecisionChoice choice{.maxError =
                             object->getNumber("max_error").value_or(PrecisionChoice::kMaxError),
                         .error = object->getNumber("error").value_or(kInfinity),
                         .errorOfAll = object->getNumber("error_of_all").value_or(kInfinity),
                         .refusal = object->getString("refusal").value_or("").str(),
                         .isOnRandomInputs = object->getBoolean("random_inputs").value_or(false)};
  for (const json::Value &layer : *layers) {
    std::optional<PrecisionLayer> read = readLayer(layer);
    if (!read)
      return std::nullopt;
    choice.layers.push_back(std::move(*read));
  }
  return choice;
}
