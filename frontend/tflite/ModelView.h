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

  /// The subgraph that a run begins with.
  const file::SubGraph &main() const { return *file.model->subgraphs()->Get(0); }
  size_t tensorCount() const { return main().tensors() ? main().tensors()->size() : 0; }
  const file::Tensor &tensor(int32_t number) const {
    return *main().tensors()->Get(static_cast<flatbuffers::uoffset_t>(number));
  }
  std::string tensorName(int32_t number) const;
  /// By the signature of this subgraph where it has one.
  std::string portName(int32_t number, bool isInput) const;
  /// With unknown sizes where the file says that they may change.
  Expected<ValueType> typeOf(int32_t number, const Limits &limits) const;

  file::BuiltinOperator builtinOf(const file::Operator &op) const;
  /// "CONV_2D", "custom op 'TFLite_Detection_PostProcess'".
  std::string opName(const file::Operator &op) const;

private:
  explicit ModelView(const TfliteFile &file) : file(file) {}

  const TfliteFile &file;
};

} // namespace quern::tflite
