//===- CutModel.h - parts of a model that run on their own ----------------===//
#pragma once

#include "api/quantize/EditableModel.h"
#include "quern/Reduction.h"

#include <map>
#include <optional>

namespace quern {

/// A part as a message, to be changed further.
struct ModelPart {
  quantization::proto::ModelProto model;
  /// One for each input of its graph.
  std::vector<std::pair<std::string, AnyValue>> inputs;

  ReducedModel finished(size_t nodesBefore) const;
};

/// A model and the values it has for some inputs.
class CutModel {
public:
  static Expected<CutModel> create(const std::string &path, std::span<const AnyValue> inputs,
                                   const ReductionOptions &options);

  size_t numNodes() const { return static_cast<size_t>(model.graph().node_size()); }
  const std::string &nameOf(size_t node) const {
    return model.graph().node(static_cast<int>(node)).name();
  }
  /// The nodes with these numbers, in ascending order. Its inputs are those of the model, and
  /// values of other nodes; few integers, which may be shapes, are constants. Its outputs are what
  /// none of these nodes reads, or is an output of the model. None when a value cannot be an input.
  std::optional<ModelPart> cut(const std::vector<size_t> &kept) const;

private:
  explicit CutModel(quantization::EditableModel model) : model(std::move(model)) {}
  Status record(std::span<const AnyValue> inputs, const ReductionOptions &options);
  bool addInput(const std::string &name, ModelPart &part) const;

  quantization::EditableModel model;
  /// What each node reads, with what its bodies do; and what all of them make.
  std::vector<std::set<std::string>> reads;
  std::set<std::string> produced;
  std::map<std::string, AnyValue> values;
  bool hasSizes = false;
};

/// The type of a tensor as an input has it, and as an output does, of which only the rank is said.
void setTensorType(quantization::proto::ValueInfoProto &port, DType dtype,
                   const Tensor::Dims &dims);
void setTensorType(quantization::proto::ValueInfoProto &port, DType dtype, int64_t rank);

} // namespace quern
