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

/// Whether `operand` varies along all of `axes` of `result`, and no others.
static bool variesAlong(const Shape &operand, const Shape &result, std::span<const int64_t> axes) {
  int64_t offset = result.rank() - operand.rank();
  for (int64_t axis = 0; axis < result.rank(); ++axis) {
    bool isChannel = std::find(axes.begin(), axes.end(), axis) != axes.end();
    Dim dim = axis < offset ? Dim(1) : operand[axis - offset];
    if (isChannel ? !dim.provablyEquals(result[axis]) : !dim.isStatic(1))
      return false;
  }
  return true;
}

BroadcastKind passes::classifyOperand(const std::optional<Shape> &operand, const Shape &result,
                                      std::span<const std::vector<int64_t>> operandAxes) {
  if (!operand || operand->rank() > result.rank())
    return BroadcastKind::Other;
  if (std::all_of(operand->dims().begin(), operand->dims().end(),
                  [](const Dim &d) { return d.isStatic(1); }))
    return BroadcastKind::Scalar;
  if (sameShape(operand, result))
    return BroadcastKind::Full;
  bool isPerChannel = std::any_of(operandAxes.begin(), operandAxes.end(), [&](const auto &axes) {
    return variesAlong(*operand, result, axes);
  });
  return isPerChannel ? BroadcastKind::PerChannel : BroadcastKind::Other;
}

namespace {
class GroupBuilder {
public:
  GroupBuilder(std::span<const FusionNode> nodes, const FusionLimits &limits)
      : nodes(nodes), limits(limits), groupOf(nodes.size(), -1), inPrologue(nodes.size()) {}

  FusionGroups build();

private:
  void growAnchor(int64_t anchor);
  void growPrologue(int64_t row);
  std::optional<int64_t> tensorReadBy(int64_t node) const;
  bool canFollowElsewhere(const std::vector<int64_t> &members, size_t from) const;
  size_t chooseEnd(const std::vector<int64_t> &members, const std::vector<size_t> &ends) const;
  std::optional<int64_t> nextUser(const std::vector<int64_t> &members) const;
  std::optional<Reason> refuseEpilogue(const std::vector<int64_t> &members, int64_t node,
                                       int64_t &residuals) const;
  std::optional<Reason> refuseOperand(const std::vector<int64_t> &members,
                                      const FusionOperand &operand, int64_t &residuals) const;
  void refuse(const std::vector<int64_t> &members, int64_t user, Reason reason);
  int64_t firstMapUser(int64_t node) const;
  std::optional<Reason> refuseBesideAnchor(int64_t node, int64_t anchor) const;
  std::optional<Reason> refuseGroupOfUsers(int64_t node) const;
  bool onlyLastEscapes(const std::vector<int64_t> &members) const;
  void joinUsers(int64_t node);
  int64_t mapInputsWith(int64_t group, int64_t node) const;

  std::span<const FusionNode> nodes;
  const FusionLimits &limits;
  std::vector<int64_t> groupOf;
  std::vector<bool> inPrologue;
  std::vector<std::vector<int64_t>> groups;
  std::vector<FusionRefusal> refusals;
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

/// Why the epilogue of members[0] cannot read an operand, if it cannot; counts full ones.
std::optional<Reason> GroupBuilder::refuseOperand(const std::vector<int64_t> &members,
                                                  const FusionOperand &operand,
                                                  int64_t &residuals) const {
  if (isIn(members, operand.producer))
    return std::nullopt;
  if (operand.producer > members[0])
    return Reason{ReasonCode::Order, "the other operand is computed later"};
  const FusionNode &anchor = nodes[members[0]];
  switch (classifyOperand(operand.shape, *anchor.shape, anchor.operandAxes)) {
  case BroadcastKind::Other:
    return Reason{ReasonCode::Broadcast,
                  "an operand is broadcast in another way than by channel, or is of unknown size"};
  case BroadcastKind::Full:
    if (++residuals > limits.maxResiduals)
      return Reason{ReasonCode::Limit, "it would read too many tensors of full size"};
    break;
  case BroadcastKind::PerChannel:
  case BroadcastKind::Scalar:
    break;
  }
  return std::nullopt;
}

/// Why `node` cannot follow the anchor members[0], if it cannot; counts its full operands.
std::optional<Reason> GroupBuilder::refuseEpilogue(const std::vector<int64_t> &members,
                                                   int64_t node, int64_t &residuals) const {
  const FusionNode &candidate = nodes[node];
  if (candidate.role != FusionRole::Elementwise)
    return Reason{ReasonCode::Form, "it is not elementwise"};
  if (groupOf[node] >= 0)
    return Reason{ReasonCode::SeveralUses, "it is computed with another operand of its own"};
  if (!sameShape(candidate.shape, nodes[members[0]].shape))
    return Reason{ReasonCode::Shape, "its result has another shape, or one that may differ"};
  for (const FusionOperand &operand : candidate.operands)
    if (std::optional<Reason> reason = refuseOperand(members, operand, residuals))
      return reason;
  return std::nullopt;
}

/// Notes why `user` is not in the group of the members it uses; what nobody would expect there
/// is left out.
void GroupBuilder::refuse(const std::vector<int64_t> &members, int64_t user, Reason reason) {
  if (reason.code == ReasonCode::Form)
    return;
  for (const FusionOperand &operand : nodes[user].operands)
    if (isIn(members, operand.producer))
      return refusals.push_back({operand.producer, user, std::move(reason)});
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

/// Whether the last members, from `from` on, can be computed by what uses them: one elementwise op
/// of their shape, which then reads no other tensors of full size than it does.
bool GroupBuilder::canFollowElsewhere(const std::vector<int64_t> &members, size_t from) const {
  const FusionNode &last = nodes[members.back()];
  if (last.users.empty())
    return false;
  int64_t user = last.users.front();
  bool isOne = std::equal(last.users.begin() + 1, last.users.end(), last.users.begin()) &&
               nodes[user].role == FusionRole::Elementwise &&
               sameShape(nodes[user].shape, last.shape);
  const FusionNode &anchor = nodes[members[0]];
  auto isFull = [&](const FusionOperand &operand) {
    return !isIn(members, operand.producer) &&
           classifyOperand(operand.shape, *anchor.shape, anchor.operandAxes) == BroadcastKind::Full;
  };
  return isOne && std::none_of(members.begin() + static_cast<int64_t>(from), members.end(),
                               [&](int64_t member) {
                                 const auto &operands = nodes[member].operands;
                                 return std::any_of(operands.begin(), operands.end(), isFull);
                               });
}

/// Which of the `ends` of these members, the last of which is all of them, leaves the fewest bytes:
/// integers, say, before they are dequantized for a sum that another group computes.
size_t GroupBuilder::chooseEnd(const std::vector<int64_t> &members,
                               const std::vector<size_t> &ends) const {
  auto bytesAt = [&](size_t end) { return nodes[members[end - 1]].elementBytes; };
  size_t best = ends.back();
  for (size_t end : ends)
    if (bytesAt(end) < bytesAt(best) && canFollowElsewhere(members, end))
      best = end;
  return best;
}

/// Takes followers one by one and keeps the longest run that has one result: in
/// x * sigmoid(x) neither op can be taken alone.
void GroupBuilder::growAnchor(int64_t anchor) {
  std::vector<int64_t> members = {anchor};
  std::vector<size_t> ends = {1};
  int64_t residuals = 0;
  std::optional<Reason> reason;
  std::optional<int64_t> next = nextUser(members);
  for (; next; next = nextUser(members)) {
    reason = static_cast<int64_t>(members.size()) < limits.maxOps
                 ? refuseEpilogue(members, *next, residuals)
                 : Reason{ReasonCode::Limit, "the group would have too many nodes"};
    if (reason)
      break;
    members.push_back(*next);
    if (onlyLastEscapes(members))
      ends.push_back(members.size());
  }
  if (ends.back() < members.size()) {
    next = members[ends.back()];
    reason = Reason{ReasonCode::SeveralUses, "the result before it is used elsewhere as well"};
  }
  members.resize(ends.back());
  members.resize(chooseEnd(members, ends));
  if (reason)
    refuse(members, *next, std::move(*reason));
  for (int64_t member : members)
    groupOf[member] = static_cast<int64_t>(groups.size());
  groups.push_back(std::move(members));
}

/// Which node gives the one tensor of full size that `node` reads beside single elements, -1 for
/// arguments; nullopt when it reads others.
std::optional<int64_t> GroupBuilder::tensorReadBy(int64_t node) const {
  std::optional<int64_t> tensor;
  for (const FusionOperand &operand : nodes[node].operands) {
    BroadcastKind kind = classifyOperand(operand.shape, *nodes[node].shape, {});
    bool isSecond = kind == BroadcastKind::Full && tensor;
    if (isSecond || (kind != BroadcastKind::Full && kind != BroadcastKind::Scalar))
      return std::nullopt;
    if (kind == BroadcastKind::Full)
      tensor = operand.producer;
  }
  return tensor;
}

/// What a row reads through elementwise ops it need not find in memory.
void GroupBuilder::growPrologue(int64_t row) {
  std::vector<int64_t> &group = groups[groupOf[row]];
  int64_t node = nodes[row].operands.empty() ? -1 : nodes[row].operands.front().producer;
  while (node >= 0 && nodes[node].role == FusionRole::Elementwise && groupOf[node] < 0 &&
         nodes[node].shape && nodes[node].users.size() == 1 &&
         static_cast<int64_t>(group.size()) < limits.maxOps) {
    std::optional<int64_t> tensor = tensorReadBy(node);
    if (!tensor)
      return;
    groupOf[node] = groupOf[row];
    inPrologue[static_cast<size_t>(node)] = true;
    group.push_back(node);
    node = *tensor;
  }
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

/// The first elementwise user of a node, or -1: what it might be computed with.
int64_t GroupBuilder::firstMapUser(int64_t node) const {
  for (int64_t user : nodes[node].users)
    if (nodes[user].role == FusionRole::Elementwise)
      return user;
  return -1;
}

/// Why an epilogue cannot compute an operand of its own from what `node` reads, if it cannot: as
/// many tensors of full size as before.
std::optional<Reason> GroupBuilder::refuseBesideAnchor(int64_t node, int64_t anchor) const {
  int64_t fullOperands = 0;
  for (const FusionOperand &operand : nodes[node].operands) {
    if (operand.producer > anchor)
      return Reason{ReasonCode::Order, "the other operand is computed later"};
    switch (classifyOperand(operand.shape, *nodes[anchor].shape, nodes[anchor].operandAxes)) {
    case BroadcastKind::Other:
      return Reason{
          ReasonCode::Broadcast,
          "an operand is broadcast in another way than by channel, or is of unknown size"};
    case BroadcastKind::Full:
      ++fullOperands;
      break;
    case BroadcastKind::PerChannel:
    case BroadcastKind::Scalar:
      break;
    }
  }
  if (fullOperands <= 1)
    return std::nullopt;
  return Reason{ReasonCode::Limit, "the kernel of its user would read more tensors of full size"};
}

/// Why an elementwise node cannot join the group of its users, if it cannot.
std::optional<Reason> GroupBuilder::refuseGroupOfUsers(int64_t node) const {
  const FusionNode &n = nodes[node];
  auto isMap = [&](int64_t user) { return nodes[user].role == FusionRole::Elementwise; };
  if (firstMapUser(node) < 0)
    return Reason{ReasonCode::Form, "nothing elementwise uses it"};
  int64_t target = groupOf[n.users[0]];
  for (int64_t user : n.users) {
    if (!isMap(user) || groupOf[user] != target)
      return Reason{ReasonCode::SeveralUses, "its result is used in several kernels"};
    if (!sameShape(nodes[user].shape, n.shape))
      return Reason{ReasonCode::Shape, "its result is broadcast, or its size may differ"};
  }
  if (static_cast<int64_t>(groups[target].size()) >= limits.maxOps)
    return Reason{ReasonCode::Limit, "the group would have too many nodes"};
  // An epilogue's group starts at its anchor.
  if (int64_t anchor = groups[target].front(); nodes[anchor].isAnchor()) {
    if (std::any_of(n.users.begin(), n.users.end(),
                    [&](int64_t user) { return inPrologue[static_cast<size_t>(user)]; }))
      return Reason{ReasonCode::Form, "what a row reads uses it"};
    return refuseBesideAnchor(node, anchor);
  }
  if (mapInputsWith(target, node) > limits.maxMapInputs)
    return Reason{ReasonCode::Limit, "the group would read too many values"};
  return std::nullopt;
}

/// Puts an elementwise node into the group of its users, or into a new one.
/// Users come before their producers here, so their groups are known.
void GroupBuilder::joinUsers(int64_t node) {
  std::optional<Reason> reason = refuseGroupOfUsers(node);
  int64_t target = reason ? static_cast<int64_t>(groups.size()) : groupOf[nodes[node].users[0]];
  if (reason) {
    groups.emplace_back();
    if (int64_t user = firstMapUser(node); user >= 0)
      refuse({node}, user, std::move(*reason));
  }
  groupOf[node] = target;
  groups[target].push_back(node);
}

FusionGroups GroupBuilder::build() {
  auto count = static_cast<int64_t>(nodes.size());
  for (int64_t i = 0; i < count; ++i)
    if (nodes[i].isAnchor())
      growAnchor(i);
  for (int64_t i = 0; i < count; ++i)
    if (nodes[i].role == FusionRole::Row)
      growPrologue(i);
  for (int64_t i = count - 1; i >= 0; --i)
    if (nodes[i].role == FusionRole::Elementwise && groupOf[i] < 0)
      joinUsers(i);
  for (std::vector<int64_t> &group : groups)
    std::sort(group.begin(), group.end());
  std::sort(groups.begin(), groups.end(),
            [](const auto &a, const auto &b) { return a.back() < b.back(); });
  return {std::move(groups), std::move(refusals)};
}

FusionGroups passes::formGroups(std::span<const FusionNode> nodes, const FusionLimits &limits) {
  return GroupBuilder(nodes, limits).build();
}
