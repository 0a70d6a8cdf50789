//===- GraphLog.h - what passes refuse, and where nodes go ----------------===//
//
// Passes on one graph write here what an Explanation says of it. A pattern that almost
// matches says by refuseMatch why it does not, which a listener hears; what it merely does not look
// for is said by notifyMatchFailure and not kept.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Explanation.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Rewrite/FrozenRewritePatternSet.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace quern::passes {

/// What the passes on one graph refused, and what became of nodes.
class GraphLog {
public:
  /// A refusal of what stands at `where`: those before, of its kind, do not count any more.
  void refuse(Refusal::Kind kind, mlir::Location where, Reason reason);
  /// What stood at `where` was done after all, or is gone.
  void forget(Refusal::Kind kind, mlir::Location where);
  /// A refusal that stays, and says itself which nodes it is about.
  void refuse(Refusal refusal);
  /// All that still counts, with the names of nodes.
  std::vector<Refusal> refusals() const;

  /// So many results of a half type, by its name, are read before they are rounded.
  void noteUnrounded(std::string_view type, size_t count) { unrounded[std::string(type)] += count; }

  /// All nodes of the graph in their order. Those with fate Step are computed still.
  const std::vector<ExplainedNode> &nodes() const { return allNodes; }
  /// All of these, without steps.
  Explanation explanation() const {
    return {.nodes = nodes(), .refusals = refusals(), .unrounded = unrounded};
  }
  /// Notes the nodes of a graph that no pass has changed.
  void begin(mlir::Operation *root);
  /// Notes which nodes `root` lacks since it was looked at before, because of `fate`.
  void update(mlir::Operation *root, ExplainedNode::Fate fate, llvm::StringRef by);

private:
  /// Ends the others' presence, for `fate`.
  void keepPresent(const llvm::DenseSet<mlir::StringAttr> &names, ExplainedNode::Fate fate,
                   llvm::StringRef by);

  /// More than anybody reads.
  static constexpr size_t kMaxRefusals = 1000;

  using Place = std::pair<Refusal::Kind, mlir::Location>;
  llvm::MapVector<Place, Reason> atPlaces;
  std::vector<Refusal> lasting;
  std::map<std::string, size_t> unrounded;
  std::vector<ExplainedNode> allNodes;
  /// The names and numbers of those that are computed still.
  std::vector<std::pair<mlir::StringAttr, size_t>> present;
};

/// Why a pattern does not do to `op` what it is there for.
mlir::LogicalResult refuseMatch(mlir::PatternRewriter &rewriter, mlir::Operation *op,
                                const Reason &reason);

/// Applies `patterns`, which do what `kind` says, as often as they match. What they refuse is in
/// `log` then, unless that is null.
mlir::LogicalResult applyLogged(mlir::Operation *root,
                                const mlir::FrozenRewritePatternSet &patterns, Refusal::Kind kind,
                                GraphLog *log, mlir::GreedyRewriteConfig config = {});

/// Notes the nodes before the first pass, and after each pass which of them have gone.
class NodeWatch : public mlir::PassInstrumentation {
public:
  explicit NodeWatch(GraphLog &log) : log(log) {}
  void runBeforePass(mlir::Pass *pass, mlir::Operation *op) override;
  void runAfterPass(mlir::Pass *pass, mlir::Operation *op) override;

private:
  GraphLog &log;
  bool hasBegun = false;
};

} // namespace quern::passes
