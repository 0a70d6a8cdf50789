//===- ImportEinsum.cpp - sums over indices -------------------------------===//
//
// Operands are contracted two at a time, each pair by one batched matrix product: the
// indices of both that remain are its batch, those that end are its depth. Pairs whose
// product shrinks what there is come first. Only where no index ends is a product made
// element by element; its result has all indices then.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/EinsumEquation.h"
#include "frontend/onnx/OpsetTable.h"
#include "quern/Limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

namespace {
/// A tensor and the index of each of its dimensions.
struct Operand {
  Value value;
  Indices indices;

  bool has(Index index) const { return llvm::is_contained(indices, index); }
  int64_t placeOf(Index index) const {
    return std::find(indices.begin(), indices.end(), index) - indices.begin();
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// Operands and result
//===----------------------------------------------------------------------===//

/// A term with `rank` dimensions in place of the ellipsis.
static Indices expanded(const Indices &term, int64_t rank) {
  Indices indices;
  for (Index index : term) {
    if (index != kEllipsis)
      indices.push_back(index);
    for (int64_t d = rank; index == kEllipsis && d > 0; --d)
      indices.push_back(static_cast<Index>(-d));
  }
  return indices;
}

/// The operands with the indices of their dimensions.
static std::vector<Operand> readOperands(NodeReader &node, const EinsumEquation &equation) {
  std::vector<Operand> operands;
  for (int i = 0; i < node.inputCount(); ++i) {
    const Indices &term = equation.terms[static_cast<size_t>(i)];
    std::optional<nn::Shape> shape = node.inputShape(i);
    bool hasEllipsis = llvm::is_contained(term, kEllipsis);
    auto letters = static_cast<int64_t>(term.size()) - hasEllipsis;
    if (letters > Limits().maxRank)
      node.invalid(fmt::format("the term of input {} has {} indices, at most {} are possible", i,
                               letters, Limits().maxRank));
    else if (!shape && hasEllipsis)
      node.unsupported(fmt::format("an ellipsis for input {}, whose rank is unknown", i));
    else if (shape && (hasEllipsis ? shape->rank() < letters : shape->rank() != letters))
      node.invalid(fmt::format("input {} has rank {}, its term {}{} indices", i, shape->rank(),
                               hasEllipsis ? "at least " : "", letters));
    if (node.failed())
      return {};
    int64_t rank = shape && hasEllipsis ? shape->rank() - letters : 0;
    operands.push_back({widen(node, node.input(i)), expanded(term, rank)});
  }
  return operands;
}

/// The indices of the result: those given, or the ellipsis and, by the alphabet, the
/// letters that occur once.
static Indices readResult(NodeReader &node, const EinsumEquation &equation,
                          const std::vector<Operand> &operands) {
  std::map<Index, int> uses;
  int64_t ellipsis = 0;
  for (const Operand &operand : operands)
    for (Index index : operand.indices) {
      ++uses[index];
      ellipsis = std::max<int64_t>(ellipsis, -index);
    }
  Indices result = expanded(equation.result.value_or(Indices{kEllipsis}), ellipsis);
  if (!equation.result) {
    for (auto [index, count] : uses)
      if (index > 0 && count == 1)
        result.push_back(index);
    return result;
  }
  for (size_t i = 0; i < result.size(); ++i)
    if (!uses.count(result[i]) ||
        std::find(result.begin(), result.begin() + i, result[i]) != result.begin() + i)
      node.invalid(fmt::format("attribute 'equation': '{}' of the result occurs twice, or in no "
                               "operand",
                               static_cast<char>(result[i])));
  return result;
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

/// The operand with its dimensions in the order of `indices`, which has all of them.
static Operand transposed(NodeReader &node, const Operand &operand, const Indices &indices) {
  if (operand.indices == indices)
    return operand;
  std::vector<int64_t> perm;
  for (Index index : indices)
    perm.push_back(operand.placeOf(index));
  return {node.create<nn::TransposeOp>(operand.value, perm), indices};
}

static Value sizeOfIndex(NodeReader &node, const Operand &operand, Index index) {
  return node.sizeOf(operand.value, operand.placeOf(index));
}

static nn::Dim dimOf(const Operand &operand, Index index) {
  std::optional<nn::Shape> shape = nn::shapeOf(operand.value);
  return shape ? (*shape)[operand.placeOf(index)] : nn::Dim();
}

/// The sum over the dimensions whose index is not in `kept`.
static Operand sumOver(NodeReader &node, const Operand &operand, const Indices &kept) {
  std::vector<int64_t> axes;
  Indices rest;
  for (size_t d = 0; d < operand.indices.size(); ++d) {
    if (llvm::is_contained(kept, operand.indices[d]))
      rest.push_back(operand.indices[d]);
    else
      axes.push_back(static_cast<int64_t>(d));
  }
  if (axes.empty())
    return operand;
  Value sum = node.create<nn::ReduceOp>(operand.value, node.intsConstant(axes), ReduceKind::Sum,
                                        /*keepdims=*/false, /*noop_with_empty_axes=*/false);
  return {sum, rest};
}

/// Of two dimensions with one index, the elements where both are equal: every n + 1st of
/// the n * n that they are together.
static Operand diagonalOf(NodeReader &node, const Operand &operand, Index index) {
  size_t first = static_cast<size_t>(operand.placeOf(index)), second = first + 1;
  while (operand.indices[second] != index)
    ++second;
  std::vector<int64_t> perm;
  std::vector<Value> outer;
  Indices indices;
  for (size_t d = 0; d < operand.indices.size(); ++d)
    if (d != first && d != second) {
      perm.push_back(static_cast<int64_t>(d));
      outer.push_back(node.sizeOf(operand.value, static_cast<int64_t>(d)));
      indices.push_back(operand.indices[d]);
    }
  perm.push_back(static_cast<int64_t>(first));
  perm.push_back(static_cast<int64_t>(second));
  indices.push_back(index);
  Value size = node.sizeOf(operand.value, static_cast<int64_t>(first));
  Value square = multiplySizes(node, size, size);
  std::vector<Value> flat = outer, lines = outer;
  flat.push_back(square);
  lines.push_back(size);
  Value value = node.create<nn::TransposeOp>(operand.value, perm);
  value = node.create<nn::ReshapeOp>(value, joinSizes(node, flat), /*allowzero=*/true);
  Value step = node.create<nn::AddOp>(size, node.intsConstant({1}));
  value = node.create<nn::SliceOp>(value, node.intsConstant({0}), square, node.intsConstant({-1}),
                                   step);
  return {node.create<nn::ReshapeOp>(value, joinSizes(node, lines), /*allowzero=*/true), indices};
}

/// The operand without indices that occur in it twice.
static Operand withoutRepeats(NodeReader &node, Operand operand) {
  for (size_t d = 0; d < operand.indices.size() && !node.failed();) {
    Index index = operand.indices[d];
    std::optional<nn::Shape> shape = nn::shapeOf(operand.value);
    std::optional<size_t> repeat;
    for (size_t e = d + 1; e < operand.indices.size() && !repeat; ++e)
      if (operand.indices[e] == index)
        repeat = e;
    if (!repeat) {
      ++d;
      continue;
    }
    const auto sizeOf = [&](size_t at) { return (*shape)[static_cast<int64_t>(at)]; };
    if (shape && !sizeOf(d).compatibleWith(sizeOf(*repeat)))
      node.invalid(fmt::format("index '{}' has sizes {} and {}", static_cast<char>(index),
                               sizeOf(d).str(), sizeOf(*repeat).str()));
    operand = diagonalOf(node, operand, index);
  }
  return operand;
}

/// Takes dimensions of size 1 off where another operand has more of them, and finds
/// sizes that differ.
static void broadcastOnes(NodeReader &node, std::vector<Operand> &operands) {
  std::map<Index, nn::Dim> sizes;
  auto sizeAt = [](const Operand &operand, size_t d) { return dimOf(operand, operand.indices[d]); };
  for (const Operand &operand : operands)
    for (size_t d = 0; d < operand.indices.size(); ++d) {
      nn::Dim size = sizeAt(operand, d);
      auto [known, isFirst] = sizes.try_emplace(operand.indices[d], size);
      if (isFirst || size.isStatic(1))
        continue;
      if (!known->second.isStatic(1) && !known->second.compatibleWith(size))
        return node.invalid(fmt::format(
            "index '{}' has sizes {} and {}",
            operand.indices[d] > 0 ? std::string(1, static_cast<char>(operand.indices[d])) : "...",
            known->second.str(), size.str()));
      if (known->second.isStatic(1) || size.isStatic())
        known->second = size;
    }
  for (Operand &operand : operands) {
    std::vector<int64_t> ones;
    Indices rest;
    for (size_t d = 0; d < operand.indices.size(); ++d)
      if (sizeAt(operand, d).isStatic(1) && !sizes[operand.indices[d]].isStatic(1))
        ones.push_back(static_cast<int64_t>(d));
      else
        rest.push_back(operand.indices[d]);
    if (!ones.empty())
      operand = {node.create<nn::SqueezeOp>(operand.value, node.intsConstant(ones)), rest};
  }
}

//===----------------------------------------------------------------------===//
// Two operands
//===----------------------------------------------------------------------===//

/// The product of two operands of which no index ends: the second is moved to where the
/// first has its dimensions, and has those of its own behind them.
static Operand multiply(NodeReader &node, Operand a, Operand b) {
  if (a.indices.size() < b.indices.size())
    std::swap(a, b);
  Indices result = a.indices, ofB;
  for (Index index : b.indices)
    if (!a.has(index))
      result.push_back(index);
  std::vector<int64_t> missing, behind;
  for (size_t d = 0; d < result.size(); ++d) {
    if (b.has(result[d]))
      ofB.push_back(result[d]);
    else
      missing.push_back(static_cast<int64_t>(d));
    if (d >= a.indices.size())
      behind.push_back(static_cast<int64_t>(d));
  }
  Value factor = transposed(node, b, ofB).value;
  if (!missing.empty())
    factor = node.create<nn::UnsqueezeOp>(factor, node.intsConstant(missing));
  if (!behind.empty())
    a.value = node.create<nn::UnsqueezeOp>(a.value, node.intsConstant(behind));
  return {node.create<nn::MulOp>(a.value, factor), result};
}

namespace {
/// The roles that the indices of two operands have in their matrix product.
struct Roles {
  Indices batch, rows, columns, depth;
};
} // namespace

/// A factor as [batch..., first, second], each of these all of its indices together.
static Value createMatrices(NodeReader &node, const Operand &operand, const Indices &batch,
                            const Indices &first, const Indices &second) {
  Indices order = batch;
  order.insert(order.end(), first.begin(), first.end());
  order.insert(order.end(), second.begin(), second.end());
  Operand moved = transposed(node, operand, order);
  if (first.size() == 1 && second.size() == 1)
    return moved.value;
  std::vector<Value> sizes;
  for (Index index : batch)
    sizes.push_back(sizeOfIndex(node, moved, index));
  for (const Indices &merged : {first, second}) {
    Value size = node.intsConstant({1});
    for (Index index : merged)
      size = multiplySizes(node, size, sizeOfIndex(node, moved, index));
    sizes.push_back(size);
  }
  return node.create<nn::ReshapeOp>(moved.value, joinSizes(node, sizes), /*allowzero=*/true);
}

/// `a` with as many elements along `depth` as `b` where it has one of each there, which
/// may show in a run only. (The ones that are known are no dimensions any more.)
static Operand expandDepth(NodeReader &node, const Operand &a, const Operand &b,
                           const Indices &depth) {
  std::vector<Value> sizes(a.indices.size(), node.intsConstant({1}));
  bool mayBeOne = false;
  for (Index index : depth) {
    nn::Dim own = dimOf(a, index);
    if (own.isStatic() || own.provablyEquals(dimOf(b, index)))
      continue;
    mayBeOne = true;
    sizes[static_cast<size_t>(a.placeOf(index))] = sizeOfIndex(node, b, index);
  }
  if (!mayBeOne)
    return a;
  return {node.create<nn::ExpandOp>(a.value, joinSizes(node, sizes)), a.indices};
}

/// Sums the product of two operands over the indices of `roles.depth`.
static Operand createProduct(NodeReader &node, Operand a, Operand b, const Roles &roles) {
  Operand given = a;
  a = expandDepth(node, a, b, roles.depth);
  b = expandDepth(node, b, given, roles.depth);
  Value product =
      node.create<nn::MatMulOp>(createMatrices(node, a, roles.batch, roles.rows, roles.depth),
                                createMatrices(node, b, roles.batch, roles.depth, roles.columns));
  Indices indices = roles.batch;
  indices.insert(indices.end(), roles.rows.begin(), roles.rows.end());
  indices.insert(indices.end(), roles.columns.begin(), roles.columns.end());
  if (roles.rows.size() == 1 && roles.columns.size() == 1)
    return {product, indices};
  std::vector<Value> sizes;
  for (size_t d = 0; d < roles.batch.size(); ++d)
    sizes.push_back(node.sizeOf(product, static_cast<int64_t>(d)));
  for (Index index : roles.rows)
    sizes.push_back(sizeOfIndex(node, a, index));
  for (Index index : roles.columns)
    sizes.push_back(sizeOfIndex(node, b, index));
  Value shape = sizes.empty() ? node.intsConstant({}) : joinSizes(node, sizes);
  return {node.create<nn::ReshapeOp>(product, shape, /*allowzero=*/true), indices};
}

/// Contracts two operands. `later` are the indices of the other operands, `result` those
/// of the whole result.
static Operand contract(NodeReader &node, Operand a, Operand b, const Indices &later,
                        const Indices &result) {
  auto isKept = [&](Index index) {
    return llvm::is_contained(later, index) || llvm::is_contained(result, index);
  };
  auto reduced = [&](const Operand &operand, const Operand &other) {
    Indices kept;
    for (Index index : operand.indices)
      if (other.has(index) || isKept(index))
        kept.push_back(index);
    return sumOver(node, operand, kept);
  };
  a = reduced(a, b);
  b = reduced(b, a);
  // The rows are those that the result has first: it need not be transposed then.
  for (Index index : result) {
    if (a.has(index) != b.has(index)) {
      if (b.has(index))
        std::swap(a, b);
      break;
    }
  }
  Roles roles;
  for (Index index : a.indices)
    (!b.has(index) ? roles.rows : isKept(index) ? roles.batch : roles.depth).push_back(index);
  for (Index index : b.indices)
    if (!a.has(index))
      roles.columns.push_back(index);
  return roles.depth.empty() ? multiply(node, a, b) : createProduct(node, a, b, roles);
}

//===----------------------------------------------------------------------===//
// The order of pairs
//===----------------------------------------------------------------------===//

/// The indices of all operands but two.
static Indices indicesBeside(const std::vector<Operand> &operands, size_t i, size_t j) {
  Indices indices;
  for (size_t k = 0; k < operands.size(); ++k)
    for (Index index : operands[k].indices)
      if (k != i && k != j && !llvm::is_contained(indices, index))
        indices.push_back(index);
  return indices;
}

/// The number of elements of a tensor with these indices. Sizes that are unknown count as
/// moderate ones.
static double elementsOf(const std::map<Index, double> &sizes, const Indices &indices) {
  double elements = 1;
  for (Index index : indices)
    elements *= sizes.at(index);
  return elements;
}

/// The two operands whose product is smallest, compared with what it takes the place of.
static std::pair<size_t, size_t> choosePair(const std::vector<Operand> &operands,
                                            const Indices &result,
                                            const std::map<Index, double> &sizes) {
  std::pair<size_t, size_t> best = {0, 1};
  std::optional<double> smallest;
  for (size_t i = 0; i < operands.size(); ++i)
    for (size_t j = i + 1; j < operands.size(); ++j) {
      Indices later = indicesBeside(operands, i, j), product;
      for (size_t k : {i, j})
        for (Index index : operands[k].indices)
          if ((llvm::is_contained(later, index) || llvm::is_contained(result, index)) &&
              !llvm::is_contained(product, index))
            product.push_back(index);
      double growth = elementsOf(sizes, product) - elementsOf(sizes, operands[i].indices) -
                      elementsOf(sizes, operands[j].indices);
      if (!smallest || growth < *smallest) {
        smallest = growth;
        best = {i, j};
      }
    }
  return best;
}

static void importEinsum(NodeReader &node) {
  // Beyond it operands are taken in their order: looking at all pairs is cubic.
  constexpr size_t kMostChosen = 24;
  constexpr int kMostOperands = 1000;
  constexpr double kModerateSize = 64;
  std::string text = node.getString("equation");
  std::optional<EinsumEquation> equation = parseEinsumEquation(text);
  if (node.failed())
    return;
  if (!equation)
    return node.invalid("attribute 'equation': cannot read '" + text + "'");
  if (equation->terms.size() != static_cast<size_t>(node.inputCount()))
    return node.invalid(fmt::format("attribute 'equation' has {} terms, the node {} inputs",
                                    equation->terms.size(), node.inputCount()));
  if (node.inputCount() > kMostOperands)
    return node.unsupported(fmt::format("more than {} inputs", kMostOperands));
  std::vector<Operand> operands = readOperands(node, *equation);
  Indices result = readResult(node, *equation, operands);
  for (Operand &operand : operands)
    operand = node.failed() ? operand : withoutRepeats(node, operand);
  if (!node.failed())
    broadcastOnes(node, operands);
  std::map<Index, double> sizes;
  for (const Operand &operand : operands)
    if (std::optional<nn::Shape> shape = nn::shapeOf(operand.value); !node.failed())
      for (size_t d = 0; d < operand.indices.size(); ++d) {
        bool isKnown = shape && (*shape)[static_cast<int64_t>(d)].isStatic();
        double size =
            isKnown ? static_cast<double>((*shape)[static_cast<int64_t>(d)].size()) : kModerateSize;
        sizes[operand.indices[d]] = size;
      }
  while (operands.size() > 1 && !node.failed()) {
    auto [i, j] = operands.size() > kMostChosen ? std::pair<size_t, size_t>(0, 1)
                                                : choosePair(operands, result, sizes);
    Operand product =
        contract(node, operands[i], operands[j], indicesBeside(operands, i, j), result);
    operands.erase(operands.begin() + static_cast<std::ptrdiff_t>(j));
    operands[i] = product;
  }
  if (node.failed())
    return;
  Operand sum = transposed(node, sumOver(node, operands.front(), result), result);
  node.setOutput(0, convert(node, sum.value, node.inputDType(0)));
}

std::span<const OpsetRow> quern::onnx::einsumImports() {
  static constexpr OpsetRow rows[] = {
      {"Einsum", 12, kNewestOpset, 1, kVariadic, 1, importEinsum},
  };
  return rows;
}
