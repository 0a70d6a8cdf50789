//===- ModelView.h - the parts of a TensorFlow Lite model, by number ------===//
#pragma once

#include "frontend/tflite/TfliteFile.h"
#include "quern/ValueType.h"

#include <string>

namespace quern::tflite {

/// A file whose numbers of tensors and op codes have been checked: all that is looked up is there.
class ModelView {
public:
  /// InvalidModel, ResourceLimit.
  static Expected<ModelView> create(const TfliteFile &file, const Limits &limits);

  /// What is seen of the file: the subgraph that a run begins with, the first; another by `of`.
  const file::SubGraph &graph() const { return *file->model->subgraphs()->Get(number); }
  uint32_t graphNumber() const { return number; }
  size_t graphCount() const { return file->model->subgraphs()->size(); }
  ModelView of(uint32_t subgraph) const { return {*file, subgraph}; }
  size_t tensorCount() const { return graph().tensors() ? graph().tensors()->size() : 0; }
  const file::Tensor &tensor(int32_t at) const {
    return *graph().tensors()->Get(static_cast<flatbuffers::uoffset_t>(at));
  }
  std::string tensorName(int32_t at) const;
  /// By the signature of this subgraph where it has one.
  std::string portName(int32_t at, bool isInput) const;
  /// With unknown sizes where the file says that they may change.
  Expected<ValueType> typeOf(int32_t at, const Limits &limits) const;

  file::BuiltinOperator builtinOf(const file::Operator &op) const;
  /// Empty for builtin ops.
  std::string customNameOf(const file::Operator &op) const;
  /// "CONV_2D", "custom op 'TFLite_Detection_PostProcess'".
  std::string opName(const file::Operator &op) const;

private:
  ModelView(const TfliteFile &file, uint32_t number) : file(&file), number(number) {}

  const TfliteFile *file;
  uint32_t number;
};

} // namespace quern::tflite
