//===- ModelView.cpp - the parts of a TensorFlow Lite model, by number ----===//
#include "frontend/tflite/ModelView.h"

#include <fmt/format.h>

#include <algorithm>

using namespace quern;
using namespace quern::tflite;

//===----------------------------------------------------------------------===//
// Checking
//===----------------------------------------------------------------------===//

static Status checkTensors(const flatbuffers::Vector<int32_t> *numbers, int64_t count,
                           int32_t least) {
  if (!numbers)
    return Status::ok();
  for (int32_t number : *numbers)
    if (number >= count || number < least)
      return invalidModel(fmt::format("tensor {} is not there, of {}", number, count));
  return Status::ok();
}

static Status checkOps(const file::SubGraph &graph, int64_t tensors, size_t codes) {
  if (!graph.operators())
    return Status::ok();
  constexpr int32_t kLeftOut = -1;
  for (const file::Operator *op : *graph.operators()) {
    if (op->code_index() >= codes)
      return invalidModel(fmt::format("op code {} is not there, of {}", op->code_index(), codes));
    QUERN_TRY(checkTensors(op->inputs(), tensors, kLeftOut));
    QUERN_TRY(checkTensors(op->outputs(), tensors, kLeftOut));
  }
  return Status::ok();
}

Expected<ModelView> ModelView::create(const TfliteFile &file, const Limits &limits) {
  if (!file->subgraphs() || file->subgraphs()->size() == 0)
    return invalidModel("the model has no subgraph");
  int64_t ops = 0;
  size_t codes = file->codes() ? file->codes()->size() : 0;
  for (const file::SubGraph *graph : *file->subgraphs()) {
    int64_t tensors = graph->tensors() ? graph->tensors()->size() : 0;
    QUERN_TRY(checkTensors(graph->inputs(), tensors, 0).withContext("inputs"));
    QUERN_TRY(checkTensors(graph->outputs(), tensors, 0).withContext("outputs"));
    QUERN_TRY(checkOps(*graph, tensors, codes));
    ops += graph->operators() ? graph->operators()->size() : 0;
  }
  if (ops > limits.maxNodes)
    return resourceLimit(fmt::format("the graph has {} ops, maxNodes is {}", ops, limits.maxNodes));
  return ModelView(file, 0);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

std::string ModelView::tensorName(int32_t at) const {
  std::string name = nameOf(tensor(at).name());
  return name.empty() ? fmt::format("tensor_{}", at) : name;
}

std::string ModelView::portName(int32_t at, bool isInput) const {
  if (const auto *signatures = file->model->signatures())
    for (const file::Signature *signature : *signatures) {
      const auto *maps = isInput ? signature->inputs() : signature->outputs();
      if (signature->subgraph() != number || !maps)
        continue;
      for (const file::TensorMap *map : *maps)
        if (map->tensor() == static_cast<uint32_t>(at) && map->name())
          return map->name()->str();
    }
  return tensorName(at);
}

Expected<ValueType> ModelView::typeOf(int32_t at, const Limits &limits) const {
  const file::Tensor &found = tensor(at);
  QUERN_ASSIGN(frontend::TensorLayout layout, layoutOf(found, limits));
  std::vector<PortDim> dims;
  const auto *signature = found.shape_signature();
  bool fits = signature && signature->size() == layout.dims.size();
  for (size_t i = 0; i < layout.dims.size(); ++i) {
    bool isOpen = fits && signature->Get(static_cast<flatbuffers::uoffset_t>(i)) < 0;
    dims.push_back(isOpen ? PortDim() : PortDim(layout.dims[i]));
  }
  return ValueType::tensor(layout.dtype, PortShape(std::move(dims)));
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

/// Old files have the number in a byte.
file::BuiltinOperator ModelView::builtinOf(const file::Operator &op) const {
  const file::OperatorCode &code = *file->model->codes()->Get(op.code_index());
  return std::max(code.code(), static_cast<file::BuiltinOperator>(code.old_code()));
}

std::string ModelView::customNameOf(const file::Operator &op) const {
  if (builtinOf(op) != file::BuiltinOperator::CUSTOM)
    return "";
  return nameOf(file->model->codes()->Get(op.code_index())->custom_code());
}

std::string ModelView::opName(const file::Operator &op) const {
  file::BuiltinOperator builtin = builtinOf(op);
  if (builtin == file::BuiltinOperator::CUSTOM)
    return fmt::format("custom op '{}'", customNameOf(op));
  const char *name = file::EnumNameBuiltinOperator(builtin);
  return *name ? std::string(name) : fmt::format("op {}", static_cast<int>(builtin));
}
