//===- OpTable.cpp - TensorFlow Lite's ops to import functions ------------===//
#include "frontend/tflite/OpTable.h"

#include <unordered_map>

using namespace quern::tflite;

static constexpr std::span<const OpRow> (*kFamilies[])() = {
    controlFlowImports, convImports,   elementwiseImports, gatherImports,  lstmImports,
    movementImports,    normImports,   poolImports,        productImports, quantizationImports,
    reductionImports,   resizeImports, rnnImports,         sliceImports,
};

std::vector<const OpRow *> quern::tflite::allOpRows() {
  std::vector<const OpRow *> rows;
  for (auto family : kFamilies)
    for (const OpRow &row : family())
      rows.push_back(&row);
  return rows;
}

const OpRow *quern::tflite::lookupOp(file::BuiltinOperator op) {
  static const auto *rows = [] {
    auto *table = new std::unordered_map<int, const OpRow *>;
    for (const OpRow *row : allOpRows())
      table->emplace(static_cast<int>(row->op), row);
    return table;
  }();
  auto found = rows->find(static_cast<int>(op));
  return found == rows->end() ? nullptr : found->second;
}
