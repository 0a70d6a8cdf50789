//===- AotSizes.cpp - the sizes that plans are made for -------------------===//
#include "backends/native/aot/AotSizes.h"

#include "ir/Signature.h"
#include "ir/ThreadDiagnostics.h"

#include "mlir/AsmParser/AsmParser.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

using namespace mlir;
using namespace quern;
using namespace quern::native;

namespace {
/// The dimensions in terms of the listed ones.
class DimExpressions {
public:
  DimExpressions(MLIRContext *context, std::span<const ListedSize> listed);

  /// Null when the name neither is listed nor says how it follows from what is.
  AffineExpr find(const std::string &name);

private:
  MLIRContext *context;
  /// "affine_map<(N, seq) -> (".
  std::string mapBegin = "affine_map<(";
  std::map<std::string, AffineExpr> known;
};
} // namespace

DimExpressions::DimExpressions(MLIRContext *context, std::span<const ListedSize> listed)
    : context(context) {
  for (const ListedSize &list : listed) {
    auto position = static_cast<unsigned>(known.size());
    mapBegin += (position ? ", " : "") + list.name;
    known.emplace(list.name, getAffineDimExpr(position, context));
  }
  mapBegin += ") -> (";
}

AffineExpr DimExpressions::find(const std::string &name) {
  auto [entry, isNew] = known.try_emplace(name);
  if (isNew && !name.empty()) {
    // Most names are no expressions, which is nobody's error.
    nn::ThreadDiagnostics silenced(context);
    auto map = dyn_cast_or_null<AffineMapAttr>(parseAttribute(mapBegin + name + ")>", context));
    if (map && map.getValue().getNumResults() == 1)
      entry->second = map.getValue().getResult(0);
  }
  return entry->second;
}

/// The size that an expression has for these ones of the listed dimensions.
static std::optional<int64_t> evaluate(AffineExpr expression, ArrayRef<int64_t> sizes) {
  SmallVector<AffineExpr> constants;
  for (int64_t size : sizes)
    constants.push_back(getAffineConstantExpr(size, expression.getContext()));
  auto value = dyn_cast<AffineConstantExpr>(expression.replaceDims(constants));
  return value && value.getValue() >= 0 ? std::optional(value.getValue()) : std::nullopt;
}

static Status checkNames(ArrayRef<PortSignature> inputs, std::span<const ListedSize> listed) {
  std::set<std::string> names;
  for (const PortSignature &port : inputs)
    for (const PortDim &dim : port.shape.dims())
      names.insert(dim.symbolName());
  std::set<std::string> seen;
  for (const ListedSize &list : listed) {
    if (!names.contains(list.name))
      return usageError("no input has a dimension '" + list.name + "'");
    bool ascends =
        std::ranges::adjacent_find(list.sizes, std::greater_equal<>()) == list.sizes.end();
    if (list.sizes.empty() || list.sizes.front() < 0 || !ascends)
      return usageError("the sizes of dimension '" + list.name +
                        "' are no ascending list of sizes, each once");
    if (!seen.insert(list.name).second)
      return usageError("the sizes of dimension '" + list.name + "' are listed twice");
  }
  return Status::ok();
}

/// The inputs whose sizes would stay unknown: "'x', 'y'".
static std::string unknownInputs(ArrayRef<PortSignature> inputs, DimExpressions &expressions) {
  std::string unknown;
  for (const PortSignature &port : inputs) {
    bool isKnown = port.ranked && llvm::all_of(port.shape.dims(), [&](const PortDim &dim) {
                     return dim.isStatic() || expressions.find(dim.symbolName());
                   });
    if (!isKnown)
      unknown += (unknown.empty() ? "'" : ", '") + port.name + "'";
  }
  return unknown;
}

static Expected<PlannedSizes> planFor(ArrayRef<PortSignature> inputs, ArrayRef<int64_t> sizes,
                                      std::string name, DimExpressions &expressions) {
  PlannedSizes planned{{}, std::move(name)};
  for (const PortSignature &port : inputs) {
    Tensor::Dims &dims = planned.inputDims.emplace_back();
    for (const PortDim &dim : port.shape.dims()) {
      std::optional<int64_t> size =
          dim.isStatic() ? dim.size() : evaluate(expressions.find(dim.symbolName()), sizes);
      if (!size)
        return usageError(fmt::format("{}: the dimension '{}' of input '{}' has no size then",
                                      planned.name, dim.symbolName(), port.name));
      dims.push_back(*size);
    }
  }
  return planned;
}

Expected<std::vector<PlannedSizes>> native::planSizes(func::FuncOp main,
                                                      std::span<const ListedSize> listed) {
  std::vector<PortSignature> inputs = nn::inputSignature(main);
  QUERN_TRY(checkNames(inputs, listed));
  DimExpressions expressions(main.getContext(), listed);
  if (std::string unknown = unknownInputs(inputs, expressions); !unknown.empty())
    return unsupported("compiling ahead of time needs all input sizes; set those of " + unknown +
                       " with --shape or --dim");
  std::vector<PlannedSizes> planned;
  if (listed.empty())
    return planned;
  QUERN_ASSIGN(std::vector<std::vector<int64_t>> combinations, combineSizes(listed));
  for (const std::vector<int64_t> &sizes : combinations) {
    QUERN_ASSIGN(PlannedSizes each,
                 planFor(inputs, sizes, formatSizes(listed, sizes), expressions));
    planned.push_back(std::move(each));
  }
  return planned;
}
