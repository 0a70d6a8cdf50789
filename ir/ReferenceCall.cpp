//===- ReferenceCall.cpp - ops as functions on tensors --------------------===//
#include "ir/ReferenceCall.h"

#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/OutlinedOps.h"
#include "ir/Types.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/ValueEvaluator.h"

#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::nn;
using namespace quern::reference;

using TensorsOrError = Expected<std::vector<Tensor>>;
using ValuesOrError = Expected<std::vector<AnyValue>>;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

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

/// All attributes of the op's ODS definition, defaults filled in.
static Expected<Attributes> convertAttributes(mlir::Operation *op) {
  mlir::NamedAttrList inherent;
  op->getName().populateInherentAttrs(op, inherent);
  op->getName().populateDefaultAttrs(inherent);
  Attributes attributes;
  for (mlir::NamedAttribute attr : inherent) {
    std::optional<Attributes::Value> value = convertAttribute(attr.getValue());
    if (!value)
      return internalError(
          fmt::format("attribute '{}' is of an unknown kind", attr.getName().str()));
    attributes.set(attr.getName().str(), std::move(*value));
  }
  return attributes;
}

/// Kernels know no types: what these say of layouts is in two attributes more.
static void setBlocks(mlir::Operation *op, Attributes &attributes) {
  if (op->getNumOperands() > 0)
    attributes.set("input_block", layoutOf(op->getOperand(0)).block);
  if (op->getNumResults() > 0)
    attributes.set("output_block", layoutOf(op->getResult(0)).block);
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

namespace {
/// What the calls of one op share, MLIR-free.
struct CapturedOp {
  std::string opName;
  Attributes attributes;
  std::vector<DType> resultTypes;
  /// Of an op whose kernel is on values of any kind.
  std::vector<ValueType> valueTypes = {};

  /// Calls `kernel` on tensors; the operands are some.
  template <typename Kernel>
  ValuesOrError call(const ReferenceArguments &arguments, const Kernel &kernel) const {
    QUERN_ASSIGN(TensorList inputs, TensorList::of(arguments.inputs));
    QUERN_ASSIGN(std::vector<Tensor> results,
                 checked(kernel(OpCall{opName, attributes, inputs, resultTypes, arguments.budget,
                                       arguments.places})));
    return std::vector<AnyValue>(std::make_move_iterator(results.begin()),
                                 std::make_move_iterator(results.end()));
  }

  ValuesOrError callOnValues(const ReferenceArguments &arguments, ValueEvalFunction kernel) const {
    QUERN_ASSIGN(
        std::vector<AnyValue> results,
        kernel(ValueCall{opName, attributes, arguments.inputs, valueTypes, arguments.budget}));
    if (results.size() != valueTypes.size())
      return internalError(
          fmt::format("the kernel gave {} results of {}", results.size(), valueTypes.size()));
    for (size_t i = 0; i < results.size(); ++i)
      if (results[i].kind() != valueTypes[i].kind ||
          (valueTypes[i].isTensor() && !results[i].fits(valueTypes[i])))
        return invalidInput(fmt::format("result {} is {}, declared is {}", i, results[i].describe(),
                                        valueTypes[i].describe()));
    return results;
  }

  /// The results of a kernel, once they are as many and of the types declared.
  TensorsOrError checked(TensorsOrError results) const {
    if (!results)
      return results;
    if (results->size() != resultTypes.size())
      return internalError(
          fmt::format("the kernel gave {} results of {}", results->size(), resultTypes.size()));
    for (size_t i = 0; i < resultTypes.size(); ++i)
      if ((*results)[i].dtype() != resultTypes[i])
        return internalError(fmt::format("result {} is {}, declared is {}", i,
                                         (*results)[i].describe(), dtypeName(resultTypes[i])));
    return results;
  }
};
} // namespace

static Expected<std::shared_ptr<const CapturedOp>> captureOp(mlir::Operation *op) {
  auto captured = std::make_shared<CapturedOp>();
  captured->opName = op->getName().getStringRef().str();
  QUERN_ASSIGN(captured->attributes, convertAttributes(op));
  setBlocks(op, captured->attributes);
  for (mlir::Type type : op->getResultTypes()) {
    auto tensor = llvm::dyn_cast<mlir::TensorType>(type);
    captured->resultTypes.push_back(tensor ? nn::dtypeOf(tensor.getElementType())
                                           : DType::Undefined);
    if (findValueEvaluator(captured->opName))
      captured->valueTypes.push_back(nn::valueTypeOf(type));
  }
  return std::shared_ptr<const CapturedOp>(captured);
}

static ReferenceCall callOfConstant(Tensor tensor) {
  return [tensor](const ReferenceArguments &) -> ValuesOrError {
    return std::vector<AnyValue>{tensor};
  };
}

static ReferenceCall callThatFails(std::string message) {
  return [message = std::move(message)](const ReferenceArguments &) -> ValuesOrError {
    return invalidInput(message);
  };
}

Expected<ReferenceCall> nn::makeReferenceCall(mlir::Operation *op) {
  if (llvm::isa<nn::NoneOp>(op))
    return callOfConstant(Tensor());
  if (llvm::isa<nn::ConstantOp, nn::WeightOp>(op)) {
    std::optional<Tensor> tensor = nn::constantTensor(op->getResult(0));
    if (!tensor)
      return invalidModel("the elements of the constant are not available");
    return callOfConstant(*tensor);
  }
  if (auto fail = llvm::dyn_cast<nn::FailOp>(op))
    return callThatFails(fail.getMessage().str());
  QUERN_ASSIGN(auto captured, captureOp(op));
  if (auto elementwise = llvm::dyn_cast<nn::ElementwiseOpInterface>(op)) {
    llvm::SmallVector<double> params = elementwise.getParams();
    return ReferenceCall([captured, functions = elementwise.info().eval,
                          params = std::vector<double>(params.begin(), params.end())](
                             const ReferenceArguments &arguments) {
      return captured->call(arguments, [&](const OpCall &call) {
        return evaluateElementwise(call, functions, params);
      });
    });
  }
  if (ValueEvalFunction function = findValueEvaluator(captured->opName))
    return ReferenceCall([captured, function](const ReferenceArguments &arguments) {
      return captured->callOnValues(arguments, function);
    });
  EvalFunction function = findEvaluator(captured->opName);
  if (!function)
    return unsupported("the op has no reference kernel");
  return ReferenceCall([captured, function](const ReferenceArguments &arguments) {
    return captured->call(arguments, function);
  });
}

static TensorsOrError callOnTensors(mlir::Operation *op, std::span<const Tensor> inputs,
                                    Budget &budget) {
  QUERN_ASSIGN(ReferenceCall call, makeReferenceCall(op));
  QUERN_ASSIGN(std::vector<AnyValue> results, call({inputs, budget}));
  return tensorsOf(std::move(results));
}

TensorsOrError nn::evaluateOp(mlir::Operation *op, std::span<const Tensor> inputs, Budget &budget) {
  TensorsOrError results = callOnTensors(op, inputs, budget);
  return results ? std::move(results) : results.status().withContext(nodeContext(op));
}
