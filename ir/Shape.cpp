//===- Shape.cpp - shapes whose sizes are expressions over symbols --------===//
#include "ir/Shape.h"

#include "ir/NNDialect.h"
#include "quern/CheckedSize.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace quern;
using namespace quern::nn;

static SymbolNames &namesOf(MLIRContext *context) {
  return context->getOrLoadDialect<NNDialect>()->getSymbols();
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

/// Parts (numbers, symbols, operations) that an expression may have. Models write them as
/// long as they like, and simplifying one, which every op does, takes the cube of its length.
static constexpr int kMaxParts = 64;
/// Numbers in expressions: products and sums of two do not overflow.
static constexpr int64_t kMaxNumber = int64_t{1} << 31;

/// Takes the parts of an expression from what is left of `parts`; false when they do not fit,
/// or when a number is too large. What shares parts counts them each time, as they are visited.
static bool takeParts(AffineExpr expr, int &parts) {
  if (--parts < 0)
    return false;
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() >= -kMaxNumber && constant.getValue() <= kMaxNumber;
  auto operation = dyn_cast<AffineBinaryOpExpr>(expr);
  return !operation ||
         (takeParts(operation.getLHS(), parts) && takeParts(operation.getRHS(), parts));
}

static bool isModest(AffineExpr expr) {
  int parts = kMaxParts;
  return takeParts(expr, parts);
}

/// The factors of a product, a constant one last.
static void collectFactors(AffineExpr expr, SmallVectorImpl<AffineExpr> &factors) {
  auto product = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!product || product.getKind() != AffineExprKind::Mul) {
    factors.push_back(expr);
    return;
  }
  collectFactors(product.getLHS(), factors);
  collectFactors(product.getRHS(), factors);
}

/// A total order of expressions that does not depend on addresses.
static bool comesBefore(AffineExpr a, AffineExpr b) {
  if (a.getKind() != b.getKind())
    return a.getKind() > b.getKind(); // symbols before constants before operations
  if (auto symbol = dyn_cast<AffineSymbolExpr>(a))
    return symbol.getPosition() < cast<AffineSymbolExpr>(b).getPosition();
  if (auto constant = dyn_cast<AffineConstantExpr>(a))
    return constant.getValue() < cast<AffineConstantExpr>(b).getValue();
  auto x = dyn_cast<AffineBinaryOpExpr>(a);
  if (!x)
    return false;
  auto y = cast<AffineBinaryOpExpr>(b);
  return x.getLHS() != y.getLHS() ? comesBefore(x.getLHS(), y.getLHS())
                                  : comesBefore(x.getRHS(), y.getRHS());
}

/// One form for equal products: MLIR leaves the order of symbols as it is.
static AffineExpr multiply(AffineExpr a, AffineExpr b) {
  SmallVector<AffineExpr> factors;
  collectFactors(a, factors);
  collectFactors(b, factors);
  int64_t constant = 1;
  llvm::erase_if(factors, [&](AffineExpr factor) {
    auto value = dyn_cast<AffineConstantExpr>(factor);
    if (value)
      constant *= value.getValue();
    return static_cast<bool>(value);
  });
  llvm::sort(factors, comesBefore);
  AffineExpr product;
  for (AffineExpr factor : factors)
    product = product ? product * factor : factor;
  if (!product)
    return getAffineConstantExpr(constant, a.getContext());
  return product * constant;
}

/// The one form that MLIR has for an expression that is affine. MLIR's work grows with the number
/// of all symbols: only those of the expression count here, in their order.
static AffineExpr simplify(AffineExpr expr) {
  SmallVector<unsigned> positions;
  expr.walk([&](AffineExpr part) {
    if (auto symbol = dyn_cast<AffineSymbolExpr>(part))
      positions.push_back(symbol.getPosition());
  });
  llvm::sort(positions);
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  llvm::DenseMap<AffineExpr, AffineExpr> there, back;
  for (auto [i, position] : llvm::enumerate(positions)) {
    AffineExpr symbol = getAffineSymbolExpr(position, expr.getContext());
    AffineExpr near = getAffineSymbolExpr(i, expr.getContext());
    there[symbol] = near;
    back[near] = symbol;
  }
  return simplifyAffineExpr(expr.replace(there), 0, positions.size()).replace(back);
}

AffineExpr nn::combineSizes(AffineExprKind kind, AffineExpr a, AffineExpr b) {
  if (!isModest(a) || !isModest(b))
    return {};
  AffineExpr expr =
      kind == AffineExprKind::Mul ? multiply(a, b) : getAffineBinaryOpExpr(kind, a, b);
  if (!isModest(expr))
    return {};
  // Others than affine ones stay as they are.
  if (expr.isPureAffine())
    expr = simplify(expr);
  return isModest(expr) ? expr : AffineExpr();
}

Dim Dim::symbol(MLIRContext *context, StringRef name) {
  return Dim(getAffineSymbolExpr(namesOf(context).positionOf(name), context));
}

Dim Dim::freshSymbol(MLIRContext *context) {
  return Dim(getAffineSymbolExpr(namesOf(context).fresh(), context));
}

bool Dim::hasFreshSymbol() const {
  bool found = false;
  if (isSymbolic())
    expression.walk([&](AffineExpr part) {
      auto symbol = dyn_cast<AffineSymbolExpr>(part);
      found |= symbol && namesOf(part.getContext()).isFresh(symbol.getPosition());
    });
  return found;
}

Dim::Dim(AffineExpr expr) : expression(expr) {
  auto constant = dyn_cast_if_present<AffineConstantExpr>(expr);
  if (!constant)
    return;
  expression = {};
  known = std::max<int64_t>(constant.getValue(), -1);
}

static AffineExpr exprOf(const Dim &d, MLIRContext *context) {
  return d.isSymbolic() ? d.expr() : getAffineConstantExpr(d.size(), context);
}

/// Applies an operation to the expressions of two known dimensions, of which one
/// is symbolic.
static Dim combine(AffineExprKind kind, const Dim &a, const Dim &b) {
  if (a.isUnknown() || b.isUnknown())
    return Dim();
  MLIRContext *context = (a.isSymbolic() ? a : b).expr().getContext();
  return Dim(combineSizes(kind, exprOf(a, context), exprOf(b, context)));
}

Dim nn::operator+(const Dim &a, const Dim &b) {
  if (a.isStatic() && b.isStatic()) {
    CheckedSize sum = CheckedSize(a.size()) + CheckedSize(b.size());
    return sum.valid() ? Dim(sum.value()) : Dim();
  }
  return combine(AffineExprKind::Add, a, b);
}

Dim nn::operator-(const Dim &a, const Dim &b) {
  if (a.isStatic() && b.isStatic())
    return a.size() >= b.size() ? Dim(a.size() - b.size()) : Dim();
  if (a.isUnknown() || b.isUnknown())
    return Dim();
  MLIRContext *context = (a.isSymbolic() ? a : b).expr().getContext();
  AffineExpr minusB =
      combineSizes(AffineExprKind::Mul, exprOf(b, context), getAffineConstantExpr(-1, context));
  return minusB ? Dim(combineSizes(AffineExprKind::Add, exprOf(a, context), minusB)) : Dim();
}

Dim nn::operator*(const Dim &a, const Dim &b) {
  if (a.isStatic(0) || b.isStatic(0))
    return Dim(0);
  if (a.isStatic() && b.isStatic()) {
    CheckedSize product = CheckedSize(a.size()) * CheckedSize(b.size());
    return product.valid() ? Dim(product.value()) : Dim();
  }
  return combine(AffineExprKind::Mul, a, b);
}

Dim nn::floorDiv(const Dim &a, int64_t divisor) {
  if (a.isStatic())
    return Dim(a.size() / divisor);
  return combine(AffineExprKind::FloorDiv, a, Dim(divisor));
}

Dim nn::ceilDiv(const Dim &a, int64_t divisor) {
  if (a.isStatic())
    return Dim(llvm::divideCeil(a.size(), divisor));
  return combine(AffineExprKind::CeilDiv, a, Dim(divisor));
}

DimVector nn::factorsOf(const Dim &d) {
  if (!d.isSymbolic())
    return {d};
  SmallVector<AffineExpr> factors;
  collectFactors(d.expr(), factors);
  return DimVector(llvm::map_range(factors, [](AffineExpr factor) { return Dim(factor); }));
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static StringRef operatorName(AffineExprKind kind) {
  switch (kind) {
  case AffineExprKind::Add:
    return " + ";
  case AffineExprKind::Mul:
    return " * ";
  case AffineExprKind::FloorDiv:
    return " floordiv ";
  case AffineExprKind::CeilDiv:
    return " ceildiv ";
  default:
    return " mod ";
  }
}

void nn::printSize(AffineExpr expr, bool quoted, raw_ostream &os) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr)) {
    os << constant.getValue();
  } else if (auto symbol = dyn_cast<AffineSymbolExpr>(expr)) {
    StringRef name = namesOf(expr.getContext()).nameOf(symbol.getPosition());
    if (!quoted) {
      os << name;
      return;
    }
    os << '"';
    llvm::printEscapedString(name, os);
    os << '"';
  } else {
    auto binary = cast<AffineBinaryOpExpr>(expr);
    os << "(";
    printSize(binary.getLHS(), quoted, os);
    os << operatorName(expr.getKind());
    printSize(binary.getRHS(), quoted, os);
    os << ")";
  }
}

std::string Dim::str() const {
  if (isStatic())
    return std::to_string(known);
  if (isUnknown())
    return "?";
  std::string text;
  llvm::raw_string_ostream os(text);
  printSize(expression, /*quoted=*/false, os);
  return text;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

Shape Shape::fromSizes(ArrayRef<int64_t> sizes) {
  return Shape(DimVector(sizes.begin(), sizes.end()));
}

bool Shape::isStatic() const {
  return llvm::all_of(dimensions, [](const Dim &d) { return d.isStatic(); });
}

std::optional<std::vector<int64_t>> Shape::sizes() const {
  if (!isStatic())
    return std::nullopt;
  std::vector<int64_t> result;
  for (const Dim &d : dimensions)
    result.push_back(d.size());
  return result;
}

std::optional<int64_t> Shape::numElements() const {
  CheckedSize n(1);
  for (const Dim &d : dimensions) {
    if (!d.isStatic())
      return std::nullopt;
    n *= CheckedSize(d.size());
  }
  return n.valid() ? std::optional(n.value()) : std::nullopt;
}

std::string Shape::str() const {
  if (dimensions.empty())
    return "scalar";
  std::string text;
  for (const Dim &d : dimensions)
    text += (text.empty() ? "" : "x") + d.str();
  return text;
}

Expected<Dim> nn::broadcastDim(const Dim &a, const Dim &b) {
  if (a.isStatic(1))
    return b;
  if (b.isStatic(1) || a.provablyEquals(b))
    return a;
  if (a.isStatic() && b.isStatic())
    return invalidModel("dimensions " + a.str() + " and " + b.str() + " do not broadcast");
  if (a.isStatic())
    return a;
  if (b.isStatic())
    return b;
  return Dim();
}

Expected<Shape> nn::broadcastShapes(const Shape &a, const Shape &b) {
  int64_t rank = std::max(a.rank(), b.rank());
  DimVector dims(rank);
  for (int64_t i = 1; i <= rank; ++i) {
    Dim x = i <= a.rank() ? a[a.rank() - i] : Dim(1);
    Dim y = i <= b.rank() ? b[b.rank() - i] : Dim(1);
    auto d = broadcastDim(x, y);
    if (!d)
      return invalidModel("shapes " + a.str() + " and " + b.str() + " do not broadcast");
    dims[rank - i] = d.take();
  }
  return Shape(std::move(dims));
}
