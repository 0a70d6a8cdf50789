//===- FusionPolicy.cpp - which ops become one kernel ---------------------===//
#include "passes/FusionPolicy.h"

#include <algorithm>
#include <set>

using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

static bool sameShape(const std::optional<Shape> &a, const std::optional<Shape> &b) {
  if (!a || !b || a->rank() != b->rank())
    return false;
  for (int64_t i = 0; i < a->rank(); ++i)
    if (!(*a)[i].provablyEquals((*b)[i]))
      return false;
  return true;
}

BroadcastKind passes::classifyOperand(const std::optional<Shape> &operand, const Shape &result,
                                      std::span<const int64_t> channelAxes) {
  if (!operand || operand->rank() > result.rank())
    return BroadcastKind::Other;
  if (std::all_of(operand->dims().begin(), operand->dims().end(),
                  [](const Dim &d) { return d.isStatic(1); }))
    return BroadcastKind::Scalar;
  if (sameShape(operand, result))
    return BroadcastKind::Full;
  int64_t offset = result.rank() - operand->rank();
  for (int64_t axis = 0; axis < result.rank(); ++axis) {
    bool isChannel = std::find(channelAxes.begin(), channelAxes.end(), axis) != channelAxes.end();
    Dim dim = axis < offset ? Dim(1) : (*operand)[axis - offset];
    if (isChannel ? !dim.provablyEquals(result[axis]) : !dim.isStatic(1))
      return BroadcastKind::Other;
  }
  return BroadcastKind::PerChannel;
}

namespace {
class GroupBuilder {
public:
  GroupBuilder(std::span<const FusionNode> nodes, const FusionLimits &limits)
      : nodes(nodes), limits(limits), groupOf(nodes.size(), -1) {}

  std::vector<std::vector<int64_t>> build();

private:
  void growAnchor(int64_t anchor);
  std::optional<int64_t> nextUser(const std::vector<int64_t> &members) const;
  bool acceptsEpilogue(const std::vector<int64_t> &members, int64_t node, int64_t &residuals) const;
  bool onlyLastEscapes(const std::vector<int64_t> &members) const;
  void joinUsers(int64_t node);
  int64_t mapInputsWith(int64_t group, int64_t node) const;

  std::span<const FusionNode> nodes;
  const FusionLimits &limits;
  std::vector<int64_t> groupOf;
  std::vector<std::vector<int64_t>> groups;
};
} // namespace

static bool isIn(const std::vector<int64_t> &members, int64_t node) {
  return std::find(members.begin(), members.end(), node) != members.end();
}

/// The first node that uses a member's result and is no member itself.
std::optional<int64_t> GroupBuilder::nextUser(const std::vector<int64_t> &members) const {
  std::optional<int64_t> next;
  for (int64_t member : members)
    for (int64_t user : nodes[member].users)
      if (!isIn(members, user) && (!next || user < *next))
        next = user;
  return next;
}

/// Whether `node` can follow the anchor members[0]; counts its full operands.
bool GroupBuilder::acceptsEpilogue(const std::vector<int64_t> &members, int64_t node,
                                   int64_t &residuals) const {
  const FusionNode &anchor = nodes[members[0]];
  const FusionNode &candidate = nodes[node];
  if (candidate.role != FusionRole::Elementwise || groupOf[node] >= 0 ||
      !sameShape(candidate.shape, anchor.shape))
    return false;
  for (const FusionOperand &operand : candidate.operands) {
    if (isIn(members, operand.producer))
      continue;
    if (operand.producer > members[0])
      return false;
    switch (classifyOperand(operand.shape, *anchor.shape, anchor.channelAxes)) {
    case BroadcastKind::Other:
      return false;
    case BroadcastKind::Full:
      if (++residuals > limits.maxResiduals)
        return false;
      break;
    case BroadcastKind::PerChannel:
    case BroadcastKind::Scalar:
      break;
    }
  }
  return true;
}

/// Whether every member but the last is used by members only.
bool GroupBuilder::onlyLastEscapes(const std::vector<int64_t> &members) const {
  for (int64_t member : members) {
    if (member == members.back())
      continue;
    const FusionNode &node = nodes[member];
    bool inside = std::all_of(node.users.begin(), node.users.end(),
                              [&](int64_t user) { return isIn(members, user); });
    if (!inside)
      return false;
  }
  return true;
}

/// Takes followers one by one and keeps the longest run that has one result: in
/// x * sigmoid(x) neither op can be taken alone.
void GroupBuilder::growAnchor(int64_t anchor) {
  std::vector<int64_t> members = {anchor};
  size_t kept = 1;
  int64_t residuals = 0;
  while (static_cast<int64_t>(members.size()) < limits.maxOps) {
    std::optional<int64_t> next = nextUser(members);
    if (!next || !acceptsEpilogue(members, *next, residuals))
      break;
    members.push_back(*next);
    if (onlyLastEscapes(members))
      kept = members.size();
  }
  members.resize(kept);
  for (int64_t member : members)
    groupOf[member] = static_cast<int64_t>(groups.size());
  groups.push_back(std::move(members));
}

/// The different values from outside that `group` reads once `node` is in it.
int64_t GroupBuilder::mapInputsWith(int64_t group, int64_t node) const {
  std::set<int64_t> produced;
  int64_t others = 0;
  auto count = [&](int64_t member) {
    for (const FusionOperand &operand : nodes[member].operands) {
      if (operand.producer < 0)
        ++others;
      else if (operand.producer != node && groupOf[operand.producer] != group)
        produced.insert(operand.producer);
    }
  };
  for (int64_t member : groups[group])
    count(member);
  count(node);
  return others + static_cast<int64_t>(produced.size());
}

/// Puts an elementwise node into the group of its users, or into a new one.
/// Users come before their producers here, so their groups are known.
void GroupBuilder::joinUsers(int64_t node) {
  const FusionNode &n = nodes[node];
  int64_t target = n.users.empty() ? -1 : groupOf[n.users[0]];
  for (int64_t user : n.users) {
    const FusionNode &u = nodes[user];
    if (groupOf[user] != target || u.role != FusionRole::Elementwise ||
        !sameShape(u.shape, n.shape))
      target = -1;
  }
  // An epilogue's group starts at its anchor.
  if (target >= 0 && (nodes[groups[target].front()].role == FusionRole::Anchor ||
                      static_cast<int64_t>(groups[target].size()) >= limits.maxOps ||
                      mapInputsWith(target, node) > limits.maxMapInputs))
    target = -1;
  if (target < 0) {
    target = static_cast<int64_t>(groups.size());
    groups.emplace_back();
  }
  groupOf[node] = target;
  groups[target].push_back(node);
}

std::vector<std::vector<int64_t>> GroupBuilder::build() {
  auto count = static_cast<int64_t>(nodes.size());
  for (int64_t i = 0; i < count; ++i)
    if (nodes[i].role == FusionRole::Anchor)
      growAnchor(i);
  for (int64_t i = count - 1; i >= 0; --i)
    if (nodes[i].role == FusionRole::Elementwise && groupOf[i] < 0)
      joinUsers(i);
  for (std::vector<int64_t> &group : groups)
    std::sort(group.begin(), group.end());
  std::sort(groups.begin(), groups.end(),
            [](const auto &a, const auto &b) { return a.back() < b.back(); });
  return std::move(groups);
}

std::vector<std::vector<int64_t>> passes::formGroups(std::span<const FusionNode> nodes,
                                                     const FusionLimits &limits) {
  return GroupBuilder(nodes, limits).build();
}
