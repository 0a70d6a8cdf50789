//===- EvaluatorTable.cpp - the kernels of all families -------------------===//
//
// Apart from what kernels use: who links single families (artefacts do) gets no others.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/EvalText.h"
#include "runtime/reference/StepRecord.h"
#include "runtime/reference/ValueEvaluator.h"

using namespace quern;
using namespace quern::reference;

namespace {
struct Family {
  std::span<const EvaluatorRow> (*rows)();
  /// The name of `rows`.
  std::string_view name;
};
} // namespace

static std::span<const Family> families() {
#define FAMILY(name) {name##Evaluators, #name "Evaluators"}
  static constexpr Family all[] = {
      FAMILY(attention),     FAMILY(contraction), FAMILY(conv),        FAMILY(dataMovement),
      FAMILY(gather),        FAMILY(image),       FAMILY(label),       FAMILY(linearAlgebra),
      FAMILY(normalization), FAMILY(pool),        FAMILY(quant),       FAMILY(quantProduct),
      FAMILY(random),        FAMILY(recurrent),   FAMILY(reduction),   FAMILY(selection),
      FAMILY(signal),        FAMILY(structure),   FAMILY(suppression), FAMILY(text),
      FAMILY(tfIdf),         FAMILY(tree),        FAMILY(vision),
  };
#undef FAMILY
  return all;
}

std::vector<std::span<const EvaluatorRow>> reference::evaluatorFamilies() {
  std::vector<std::span<const EvaluatorRow>> tables;
  for (const Family &family : families())
    tables.push_back(family.rows());
  return tables;
}

std::optional<std::string> reference::evaluatorTableSymbol(std::string_view opName) {
  for (const Family &family : families())
    for (const EvaluatorRow &row : family.rows())
      if (row.opName == opName) // as the Itanium C++ ABI spells the function
        return "_ZN5quern9reference" + std::to_string(family.name.size()) +
               std::string(family.name) + "Ev";
  return std::nullopt;
}

EvalFunction reference::findEvaluator(std::string_view opName) {
  static const auto table = [] {
    std::map<std::string_view, EvalFunction> rows;
    for (std::span<const EvaluatorRow> family : evaluatorFamilies())
      for (const EvaluatorRow &row : family)
        rows.emplace(row.opName, row.function);
    return rows;
  }();
  auto it = table.find(opName);
  return it == table.end() ? nullptr : it->second;
}

ValueEvalFunction reference::findValueEvaluator(std::string_view opName) {
  static const auto table = [] {
    std::map<std::string_view, ValueEvalFunction> rows;
    for (auto family : {labelValueEvaluators, sequenceEvaluators})
      for (const ValueEvaluatorRow &row : family())
        rows.emplace(row.opName, row.function);
    return rows;
  }();
  auto it = table.find(opName);
  return it == table.end() ? nullptr : it->second;
}
