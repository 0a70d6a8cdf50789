//===- ReferenceCall.cpp - ops as functions on tensors --------------------===//
#include "ir/ReferenceCall.h"

#include "ir/Constants.h"
#include "ir/NNDialect.h"
#include "ir/OpAttributes.h"
#include "ir/OutlinedOps.h"
#include "ir/Types.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/ValueEvaluator.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::nn;
using namespace quern::reference;

using TensorsOrError = Expected<std::vector<Tensor>>;
using ValuesOrError = Expected<std::vector<AnyValue>>;

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
    QUERN_ASSIGN(std::vector<AnyValue> results,
                 kernel(ValueCall{opName, attributes, arguments.inputs, valueTypes,
                                  arguments.budget, arguments.takeable}));
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
  QUERN_ASSIGN(auto attributes, attributesOf(op));
  for (auto &[name, value] : attributes)
    captured->attributes.set(std::move(name), std::move(value));
  std::set<std::string, std::less<>> absent;
  for (mlir::StringAttr name : op->getName().getAttributeNames())
    if (!captured->attributes.has(name.getValue()))
      absent.insert(name.str());
  captured->attributes.complete(std::move(absent));
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
