//===- ModelMutation.h - damaged ONNX models ------------------------------===//
#pragma once

#include "frontend/onnx/OnnxProto.h"

#include <optional>
#include <random>
#include <string>
#include <vector>

namespace quern::test {

/// One to three bytes changed, a piece cut out or repeated, or the end cut off.
std::string mutateBytes(std::string bytes, std::mt19937 &random);

/// Mutant `which` of those that importers meet least by chance: an operand of a node left
/// out; an input of the graph without a shape, or a scalar, empty, of unknown sizes, or of
/// elements that few ops take. nullopt when there are fewer.
std::optional<std::string> systematicMutant(const std::string &bytes, uint64_t which);

/// Models that lend each other attributes and nodes.
class ModelMutation {
public:
  /// Takes what can be lent from a serialized model; one that is none is skipped.
  void add(const std::string &bytes);

  /// One to four fields of the model changed, cleared, repeated or taken from elsewhere,
  /// so that it still is a model; what is none has its bytes changed.
  std::string mutate(const std::string &bytes, std::mt19937 &random) const;

private:
  void change(onnx::proto::ModelProto &model, std::mt19937 &random) const;
  void lend(onnx::proto::ModelProto &model, std::mt19937 &random) const;

  std::vector<onnx::proto::NodeProto> nodes;
  std::vector<onnx::proto::AttributeProto> attributes;
};

} // namespace quern::test
