//===- OpsetTable.h - (domain, op, opset version) to import function ------===//
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace quern::onnx {

class NodeImport;

/// The newest opset of the default domain whose changes are known: a version
/// after it is refused, by op, as its semantics may have changed.
inline constexpr int64_t kNewestOpset = 21;
/// maxInputs of an op that takes any number.
inline constexpr int kVariadic = 1 << 20;

/// One op over the opset versions whose semantics its import function knows.
struct OpsetRow {
  std::string_view op;
  int64_t since;
  int64_t until;
  int minInputs;
  int maxInputs;
  int maxOutputs;
  void (*import)(NodeImport &node);
  std::string_view domain = "";
};

/// The row for an op, or the reason why there is none ("opset 23 is newer than 21").
struct OpsetLookup {
  const OpsetRow *row = nullptr;
  std::string reason;
};
OpsetLookup lookupOpset(std::string_view domain, std::string_view op, int64_t version);

// One table per op family, each in Import<Family>.cpp.
std::span<const OpsetRow> contractionImports();
std::span<const OpsetRow> convImports();
std::span<const OpsetRow> dataMovementImports();
std::span<const OpsetRow> elementwiseImports();
std::span<const OpsetRow> normalizationImports();
std::span<const OpsetRow> poolImports();
std::span<const OpsetRow> reductionImports();
std::span<const OpsetRow> resizeImports();
std::span<const OpsetRow> structureImports();

} // namespace quern::onnx
