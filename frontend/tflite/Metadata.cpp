//===- Metadata.cpp - what a model says of its images and labels ----------===//
#include "frontend/tflite/Metadata.h"

#include "frontend/tflite/ModelView.h"
#include "frontend/tflite/metadata.h"

using namespace quern;
using namespace quern::tflite;

namespace {
/// The bytes of metadata and the table that they begin with; null without any.
struct Description {
  /// Where numbers lie at multiples of their size.
  std::vector<uint8_t> bytes;
  const metadata::ModelMetadata *model = nullptr;
};
} // namespace

/// The buffer of the metadata of this name; null without one.
static const file::Buffer *bufferOf(const TfliteFile &file, std::string_view name) {
  if (!file->metadata() || !file->buffers())
    return nullptr;
  for (const file::Metadata *entry : *file->metadata())
    if (entry->name() && entry->name()->string_view() == name &&
        entry->buffer() < file->buffers()->size())
      return file->buffers()->Get(entry->buffer());
  return nullptr;
}

static Expected<Description> describe(const TfliteFile &file) {
  Description found;
  const file::Buffer *buffer = bufferOf(file, "TFLITE_METADATA");
  if (!buffer || !buffer->data())
    return found;
  found.bytes.assign(buffer->data()->begin(), buffer->data()->end());
  flatbuffers::Verifier verifier(found.bytes.data(), found.bytes.size());
  // Later versions have other identifiers, and may mean something else.
  constexpr size_t kWithIdentifier = 8;
  if (found.bytes.size() < kWithIdentifier ||
      !metadata::ModelMetadataBufferHasIdentifier(found.bytes.data()))
    return Description();
  if (!metadata::VerifyModelMetadataBuffer(verifier))
    return invalidModel("the metadata of the TensorFlow Lite model are truncated or damaged");
  found.model = metadata::GetModelMetadata(found.bytes.data());
  return found;
}

static void addImage(const metadata::TensorMetadata &said, ImageFacts &facts) {
  if (const metadata::Image *image =
          said.content() ? said.content()->properties_as_Image() : nullptr) {
    facts.isImage = true;
    facts.isGray = image->color_space() == metadata::ColorSpace::Grayscale;
    if (const metadata::ImageSize *size = image->default_size()) {
      facts.height = size->height();
      facts.width = size->width();
    }
  }
  if (!said.process_units())
    return;
  for (const metadata::ProcessUnit *unit : *said.process_units())
    if (const metadata::Normalization *numbers = unit->options_as_Normalization()) {
      facts.hasNormalization = true;
      if (numbers->mean())
        facts.mean.assign(numbers->mean()->begin(), numbers->mean()->end());
      if (numbers->std())
        facts.deviation.assign(numbers->std()->begin(), numbers->std()->end());
    }
}

static void addQuantization(const file::Tensor &tensor, ImageFacts &facts) {
  const file::Quantization *numbers = tensor.quantization();
  if (!numbers || !numbers->scale() || numbers->scale()->size() != 1)
    return;
  facts.scale = numbers->scale()->Get(0);
  if (numbers->zero_point() && numbers->zero_point()->size() == 1)
    facts.zeroPoint = numbers->zero_point()->Get(0);
}

Expected<MetadataFacts> tflite::readMetadata(const TfliteFile &file, const ModelView &view) {
  MetadataFacts facts;
  QUERN_ASSIGN(Description said, describe(file));
  const metadata::SubGraphMetadata *main =
      said.model && said.model->subgraphs() && said.model->subgraphs()->size() > 0
          ? said.model->subgraphs()->Get(0)
          : nullptr;
  const auto *inputs = view.graph().inputs(), *outputs = view.graph().outputs();
  for (flatbuffers::uoffset_t i = 0; inputs && i < inputs->size(); ++i) {
    ImageFacts image{.input = view.portName(inputs->Get(i), /*isInput=*/true)};
    addQuantization(view.tensor(inputs->Get(i)), image);
    if (main && main->inputs() && i < main->inputs()->size())
      addImage(*main->inputs()->Get(i), image);
    facts.images.push_back(std::move(image));
  }
  for (flatbuffers::uoffset_t i = 0; outputs && i < outputs->size(); ++i) {
    if (!main || !main->outputs() || i >= main->outputs()->size() ||
        !main->outputs()->Get(i)->files())
      continue;
    for (const metadata::AssociatedFile *each : *main->outputs()->Get(i)->files())
      if (each->kind() == metadata::FileKind::AxisLabels && each->name())
        facts.labels.push_back(
            {view.portName(outputs->Get(i), /*isInput=*/false), each->name()->str()});
  }
  return facts;
}
