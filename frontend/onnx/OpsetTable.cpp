//===- OpsetTable.cpp - (domain, op, opset version) to import function ----===//
#include "frontend/onnx/OpsetTable.h"

#include "frontend/onnx/OnnxImporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

using namespace quern;
using namespace quern::onnx;

namespace {
using Key = std::pair<std::string_view, std::string_view>;
using Table = std::map<Key, std::vector<const OpsetRow *>>;
} // namespace

static const Table &table() {
  static const Table rows = [] {
    Table all;
    for (auto family : {activationImports(),
                        attentionImports(),
                        contractionImports(),
                        controlFlowImports(),
                        convImports(),
                        dataMovementImports(),
                        deformConvImports(),
                        einsumImports(),
                        elementwiseImports(),
                        featureImports(),
                        gatherImports(),
                        imageImports(),
                        labelImports(),
                        linearAlgebraImports(),
                        linearModelImports(),
                        lossImports(),
                        microsoftAttentionImports(),
                        nBitsImports(),
                        normalizationImports(),
                        poolImports(),
                        quantElementwiseImports(),
                        quantImports(),
                        quantProductImports(),
                        randomImports(),
                        recurrentImports(),
                        reductionImports(),
                        resizeImports(),
                        selectImports(),
                        selectionImports(),
                        sequenceImports(),
                        signalImports(),
                        stateSpaceImports(),
                        structureImports(),
                        textImports(),
                        trainingImports(),
                        treeImports(),
                        visionImports()})
      for (const OpsetRow &row : family)
        all[{row.domain, row.op}].push_back(&row);
    return all;
  }();
  return rows;
}

std::vector<const OpsetRow *> quern::onnx::allOpsetRows() {
  std::vector<const OpsetRow *> all;
  for (const auto &[key, rows] : table())
    all.insert(all.end(), rows.begin(), rows.end());
  return all;
}

/// Why an op without a row has none.
static std::string whyMissing(std::string_view domain, std::string_view op) {
  if (domain == "ai.onnx.preview.training" && op == "Gradient")
    return "gradients of graphs are not computed";
  return "op is not supported";
}

int64_t quern::onnx::newestKnownOpset(std::string_view domain) {
  if (domain.empty())
    return kNewestOpset;
  int64_t newest = 0;
  for (const auto &[key, rows] : table())
    if (key.first == domain)
      for (const OpsetRow *row : rows)
        newest = std::max(newest, row->until);
  return newest;
}

OpsetLookup quern::onnx::lookupOpset(std::string_view domain, std::string_view op,
                                     int64_t version) {
  auto found = table().find({domain, op});
  if (found == table().end())
    return {nullptr, whyMissing(domain, op)};
  int64_t newest = 0;
  for (const OpsetRow *row : found->second) {
    if (version >= row->since && version <= row->until)
      return {row, {}};
    newest = std::max(newest, row->until);
  }
  if (version > newest)
    return {nullptr, fmt::format("only known up to opset {}", newest),
            version > newestKnownOpset(domain)};
  // Rows of an op are written oldest first.
  return {nullptr, fmt::format("only known from opset {}", found->second.front()->since)};
}
