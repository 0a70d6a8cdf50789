//===- OpTable.cpp - TensorFlow Lite's ops to import functions ------------===//
#include "frontend/tflite/OpTable.h"

#include <map>

using namespace quern::tflite;

static constexpr std::span<const OpRow> (*kFamilies[])() = {
    controlFlowImports, convImports,    detectionImports,    elementwiseImports,
    gatherImports,      lstmImports,    movementImports,     normImports,
    poolImports,        productImports, quantizationImports, reductionImports,
    resizeImports,      rnnImports,     signalImports,       sliceImports,
};

const OpRow *quern::tflite::lookupOp(file::BuiltinOperator op, std::string_view custom) {
  using Key = std::pair<file::BuiltinOperator, std::string_view>;
  static const auto *rows = [] {
    auto *table = new std::map<Key, const OpRow *>;
    for (auto family : kFamilies)
      for (const OpRow &row : family())
        table->emplace(Key{row.op, row.custom}, &row);
    return table;
  }();
  auto found = rows->find({op, custom});
  return found == rows->end() ? nullptr : found->second;
}
