//===- Inspect.cpp - what a TensorFlow Lite file says ---------------------===//
#include "frontend/tflite/Inspect.h"

#include "frontend/tflite/ModelView.h"
#include "quern/CheckedSize.h"

using namespace quern;
using namespace quern::tflite;

static Status addPorts(const ModelView &view, bool isInput, const Limits &limits,
                       std::vector<PortSignature> &ports) {
  const auto *numbers = isInput ? view.graph().inputs() : view.graph().outputs();
  for (size_t i = 0; numbers && i < numbers->size(); ++i) {
    int32_t number = numbers->Get(static_cast<flatbuffers::uoffset_t>(i));
    QUERN_ASSIGN(ValueType type, view.typeOf(number, limits));
    ports.push_back({view.portName(number, isInput), std::move(type)});
  }
  return Status::ok();
}

Expected<FileFacts> tflite::inspect(frontend::SourceBytes bytes, const Limits &limits) {
  QUERN_ASSIGN(TfliteFile file, readTfliteBytes(std::move(bytes), limits));
  QUERN_ASSIGN(ModelView view, ModelView::create(file, limits));
  FileFacts facts;
  facts.description = nameOf(file->description());
  facts.version = file->version();
  QUERN_TRY(addPorts(view, /*isInput=*/true, limits, facts.inputs));
  QUERN_TRY(addPorts(view, /*isInput=*/false, limits, facts.outputs));
  if (file->metadata())
    for (const file::Metadata *entry : *file->metadata())
      facts.metadata.push_back(nameOf(entry->name()));
  QUERN_ASSIGN(facts.described, readMetadata(file, view));
  CheckedSize parameters(0);
  for (const file::SubGraph *graph : *file->subgraphs()) {
    if (graph->operators())
      for (const file::Operator *op : *graph->operators())
        facts.ops.push_back(view.opName(*op));
    if (!graph->tensors())
      continue;
    for (const file::Tensor *tensor : *graph->tensors()) {
      QUERN_ASSIGN(std::span<const std::byte> data, dataOf(file, *tensor));
      auto layout = layoutOf(*tensor, limits);
      if (data.empty() || !layout)
        continue;
      ++facts.constants;
      parameters += CheckedSize(layout->elements);
    }
  }
  facts.parameters = parameters.valid() ? parameters.value() : 0;
  return facts;
}
