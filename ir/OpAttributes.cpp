//===- OpAttributes.cpp - the attributes of an op without MLIR ------------===//
#include "ir/OpAttributes.h"

#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/Types.h"

#include "llvm/ADT/TypeSwitch.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::nn;
using namespace quern::reference;

/// The number of an enumeration's value; nullopt for other attributes.
static std::optional<int64_t> enumValue(mlir::Attribute attr) {
  return llvm::TypeSwitch<mlir::Attribute, std::optional<int64_t>>(attr)
      .Case<AutoPadAttr, ReduceKindAttr, PadModeAttr, ResizeModeAttr, ResizeCoordinatesAttr,
            NearestModeAttr, ScatterReductionAttr, CastRoundingAttr>(
          [](auto value) { return static_cast<int64_t>(value.getValue()); })
      .Default([](mlir::Attribute) { return std::nullopt; });
}

/// The value of an attribute without MLIR; nullopt for kinds no nn op has.
static std::optional<Attributes::Value> convertAttribute(mlir::Attribute attr) {
  if (auto flag = llvm::dyn_cast<mlir::BoolAttr>(attr))
    return int64_t(flag.getValue());
  if (auto integer = llvm::dyn_cast<mlir::IntegerAttr>(attr))
    return integer.getValue().getSExtValue();
  if (auto real = llvm::dyn_cast<mlir::FloatAttr>(attr))
    return real.getValueAsDouble();
  if (std::optional<int64_t> value = enumValue(attr))
    return *value;
  if (auto text = llvm::dyn_cast<mlir::StringAttr>(attr))
    return text.getValue().str();
  if (auto integers = llvm::dyn_cast<mlir::DenseI64ArrayAttr>(attr))
    return integers.asArrayRef().vec();
  if (auto reals = llvm::dyn_cast<mlir::DenseF64ArrayAttr>(attr))
    return reals.asArrayRef().vec();
  if (auto type = llvm::dyn_cast<mlir::TypeAttr>(attr))
    return nn::dtypeOf(type.getValue());
  if (auto elements = llvm::dyn_cast<mlir::ElementsAttr>(attr))
    if (std::optional<Tensor> tensor = nn::tensorOfElements(elements))
      return *tensor;
  return std::nullopt;
}

Expected<std::vector<std::pair<std::string, Attributes::Value>>>
nn::attributesOf(mlir::Operation *op) {
  mlir::NamedAttrList inherent;
  op->getName().populateInherentAttrs(op, inherent);
  op->getName().populateDefaultAttrs(inherent);
  std::vector<std::pair<std::string, Attributes::Value>> attributes;
  for (mlir::NamedAttribute attr : inherent) {
    std::optional<Attributes::Value> value = convertAttribute(attr.getValue());
    if (!value)
      return internalError(
          fmt::format("attribute '{}' is of an unknown kind", attr.getName().str()));
    attributes.emplace_back(attr.getName().str(), std::move(*value));
  }
  if (op->getNumOperands() > 0)
    attributes.emplace_back("input_block", layoutOf(op->getOperand(0)).block);
  if (op->getNumResults() > 0)
    attributes.emplace_back("output_block", layoutOf(op->getResult(0)).block);
  return attributes;
}
