//===- OpsetTable.h - (domain, op, opset version) to import function ------===//
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace quern::onnx {

class NodeReader;

/// The newest opset of the default domain whose changes are known: a version
/// after it is refused, by op, as its semantics may have changed. Rows of single ops
/// may reach further.
inline constexpr int64_t kNewestOpset = 28;
/// The domain of the ops that ONNX Runtime adds to ONNX.
inline constexpr std::string_view kMicrosoftDomain = "com.microsoft";
/// The domain of ONNX's ops that may still change.
inline constexpr std::string_view kPreviewDomain = "ai.onnx.preview";
/// maxInputs of an op that takes any number.
inline constexpr int kVariadic = 1 << 20;
/// The same when each of them may be left out.
inline constexpr int kAnyOptional = kVariadic - 1;

/// One op over the opset versions whose semantics its import function knows.
struct OpsetRow {
  std::string_view op;
  int64_t since;
  int64_t until;
  int minInputs;
  int maxInputs;
  int maxOutputs;
  void (*import)(NodeReader &node);
  std::string_view domain = "";
  /// Whether operands may be sequences, optionals and maps.
  bool takesAnyValue = false;
};

/// The row for an op, or the reason why there is none ("only known up to opset 9").
struct OpsetLookup {
  const OpsetRow *row = nullptr;
  std::string reason;
  /// Other versions of the op are known, but nothing of an opset as new as this.
  bool opsetTooNew = false;
};
OpsetLookup lookupOpset(std::string_view domain, std::string_view op, int64_t version);
/// The newest version of a domain that is known: kNewestOpset of the default one, else the
/// newest that any op is known for; 0 of an unknown domain.
int64_t newestKnownOpset(std::string_view domain);

// One table per op family, each in Import<Family>.cpp.
std::span<const OpsetRow> activationImports();
std::span<const OpsetRow> attentionImports();
std::span<const OpsetRow> contractionImports();
std::span<const OpsetRow> controlFlowImports();
std::span<const OpsetRow> convImports();
std::span<const OpsetRow> dataMovementImports();
std::span<const OpsetRow> deformConvImports();
std::span<const OpsetRow> einsumImports();
std::span<const OpsetRow> elementwiseImports();
std::span<const OpsetRow> featureImports();
std::span<const OpsetRow> gatherImports();
std::span<const OpsetRow> imageImports();
std::span<const OpsetRow> labelImports();
std::span<const OpsetRow> linearAlgebraImports();
std::span<const OpsetRow> linearModelImports();
std::span<const OpsetRow> lossImports();
std::span<const OpsetRow> microsoftAttentionImports();
std::span<const OpsetRow> nBitsImports();
std::span<const OpsetRow> normalizationImports();
std::span<const OpsetRow> poolImports();
std::span<const OpsetRow> quantElementwiseImports();
std::span<const OpsetRow> quantImports();
std::span<const OpsetRow> quantProductImports();
std::span<const OpsetRow> randomImports();
std::span<const OpsetRow> recurrentImports();
std::span<const OpsetRow> reductionImports();
std::span<const OpsetRow> resizeImports();
std::span<const OpsetRow> selectImports();
std::span<const OpsetRow> selectionImports();
std::span<const OpsetRow> sequenceImports();
std::span<const OpsetRow> signalImports();
std::span<const OpsetRow> stateSpaceImports();
std::span<const OpsetRow> structureImports();
std::span<const OpsetRow> textImports();
std::span<const OpsetRow> trainingImports();
std::span<const OpsetRow> treeImports();
std::span<const OpsetRow> visionImports();

} // namespace quern::onnx
