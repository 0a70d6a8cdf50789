//===- GraphLog.cpp - what passes refuse, and where nodes go --------------===//
#include "passes/GraphLog.h"

#include "ir/NNDialect.h"
#include "ir/NodeNames.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/DenseSet.h"

#include <utility>

using namespace mlir;
using namespace quern;
using namespace quern::passes;

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

void GraphLog::refuse(Refusal::Kind kind, Location where, Reason reason) {
  if (auto known = atPlaces.find({kind, where}); known != atPlaces.end())
    known->second = std::move(reason);
  else if (atPlaces.size() < kMaxRefusals)
    atPlaces.insert({{kind, where}, std::move(reason)});
}

void GraphLog::forget(Refusal::Kind kind, Location where) {
  if (auto known = atPlaces.find({kind, where}); known != atPlaces.end())
    atPlaces.erase(known);
}

void GraphLog::refuse(Refusal refusal) {
  if (lasting.size() < kMaxRefusals)
    lasting.push_back(std::move(refusal));
}

std::vector<Refusal> GraphLog::refusals() const {
  std::vector<Refusal> all;
  for (auto &[place, reason] : atPlaces) {
    Refusal &refusal = all.emplace_back(Refusal{place.first, reason});
    if (reason.nodes.empty())
      refusal.reason.nodes = nn::nodeNames(place.second);
  }
  all.insert(all.end(), lasting.begin(), lasting.end());
  return all;
}

// The diagnostic of a refusal has a note, which is the number of its code.

LogicalResult passes::refuseMatch(PatternRewriter &rewriter, Operation *op, const Reason &reason) {
  return rewriter.notifyMatchFailure(op, [&](Diagnostic &diagnostic) {
    diagnostic << reason.text;
    diagnostic.attachNote() << static_cast<unsigned>(reason.code);
  });
}

namespace {
/// Hears what patterns refuse, and what becomes of it.
class LoggingListener : public RewriterBase::Listener {
public:
  LoggingListener(Refusal::Kind kind, GraphLog &log) : kind(kind), log(log) {}

  void notifyMatchFailure(Location where, function_ref<void(Diagnostic &)> reason) override {
    Diagnostic diagnostic(where, DiagnosticSeverity::Remark);
    reason(diagnostic);
    if (diagnostic.getNotes().empty())
      return;
    auto code = (*diagnostic.getNotes().begin()).getArguments().front().getAsUnsigned();
    log.refuse(kind, where, {static_cast<ReasonCode>(code), diagnostic.str()});
  }
  void notifyOperationErased(Operation *op) override { log.forget(kind, op->getLoc()); }

private:
  Refusal::Kind kind;
  GraphLog &log;
};
} // namespace

LogicalResult passes::applyLogged(Operation *root, const FrozenRewritePatternSet &patterns,
                                  Refusal::Kind kind, GraphLog *log, GreedyRewriteConfig config) {
  std::optional<LoggingListener> listener;
  if (log)
    config.listener = &listener.emplace(kind, *log);
  return applyPatternsAndFoldGreedily(root, patterns, config);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

static bool isData(Operation *op) { return isa<nn::ConstantOp, nn::WeightOp, nn::NoneOp>(op); }

/// Calls `note` with the names that the ops in `root` bear, if `accepts` them.
static void forEachName(Operation *root, llvm::function_ref<bool(Operation *)> accepts,
                        llvm::function_ref<void(StringAttr)> note) {
  llvm::SmallDenseSet<Location, 64> seen;
  root->walk([&](Operation *op) {
    if (isa_and_nonnull<nn::NNDialect>(op->getDialect()) && accepts(op) &&
        seen.insert(op->getLoc()).second)
      nn::forEachNode(op->getLoc(), note);
  });
}

/// The ops at the top of `root`, a function, that no result depends on.
static llvm::SmallDenseSet<Operation *> unusedOps(Operation *root) {
  llvm::SmallDenseSet<Operation *> unused;
  root->walk([&](func::FuncOp function) {
    Block &block = function.getBody().front();
    for (Operation &op : llvm::reverse(block.without_terminator())) {
      auto isUnused = [&](Operation *user) {
        return unused.contains(block.findAncestorOpInBlock(*user));
      };
      if (wouldOpBeTriviallyDead(&op) && llvm::all_of(op.getUsers(), isUnused))
        unused.insert(&op);
    }
  });
  return unused;
}

void GraphLog::begin(Operation *root) {
  llvm::DenseMap<StringAttr, size_t> numbers;
  auto add = [&](StringAttr name) {
    if (numbers.try_emplace(name, allNodes.size()).second)
      allNodes.push_back({name.str()});
  };
  forEachName(root, [](Operation *op) { return !isData(op); }, add);
  root->walk([&](func::FuncOp function) {
    if (auto names = function->getAttrOfType<ArrayAttr>(nn::kNodesWithoutOps))
      llvm::for_each(names.getAsRange<StringAttr>(), add);
  });
  for (auto [name, number] : numbers)
    present.emplace_back(name, number);
  update(root, ExplainedNode::Fate::Removed, "import");
  llvm::SmallDenseSet<Operation *> unused = unusedOps(root);
  llvm::DenseSet<StringAttr> used;
  auto isUsed = [&](Operation *op) {
    for (Operation *at = op; at && at != root; at = at->getParentOp())
      if (unused.contains(at))
        return false;
    return !isData(op);
  };
  forEachName(root, isUsed, [&](StringAttr name) { used.insert(name); });
  keepPresent(used, ExplainedNode::Fate::Unused, "");
}

void GraphLog::keepPresent(const llvm::DenseSet<StringAttr> &names, ExplainedNode::Fate fate,
                           StringRef by) {
  llvm::erase_if(present, [&](auto &node) {
    if (names.contains(node.first))
      return false;
    allNodes[node.second].fate = fate;
    allNodes[node.second].by = by.str();
    return true;
  });
}

void GraphLog::update(Operation *root, ExplainedNode::Fate fate, StringRef by) {
  llvm::DenseSet<StringAttr> computed, data;
  forEachName(
      root, [](Operation *op) { return !isData(op); },
      [&](StringAttr name) { computed.insert(name); });
  if (llvm::all_of(present, [&](auto &node) { return computed.contains(node.first); }))
    return;
  forEachName(root, isData, [&](StringAttr name) { data.insert(name); });
  llvm::DenseSet<StringAttr> known = computed;
  known.insert(data.begin(), data.end());
  keepPresent(known, fate, by);
  keepPresent(computed, ExplainedNode::Fate::Constant, by);
}

void NodeWatch::runBeforePass(Pass *, Operation *op) {
  if (std::exchange(hasBegun, true))
    return;
  if (log.nodes().empty())
    log.begin(op);
  else // what outlining has taken away
    log.update(op, ExplainedNode::Fate::Body, "");
}

void NodeWatch::runAfterPass(Pass *pass, Operation *op) {
  bool folds = pass->getArgument() == "nn-fold-constants";
  log.update(op, folds ? ExplainedNode::Fate::Constant : ExplainedNode::Fate::Removed,
             pass->getArgument());
}
