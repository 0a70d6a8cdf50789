//===- PlantedError.cpp - an error in what is compiled, for tests ---------===//
#include "api/compare/PlantedError.h"

#include "backends/plan/LowerGraph.h"
#include "ir/NNDialect.h"
#include "ir/NodeNames.h"
#include "quern/TensorDifference.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

using namespace quern;

static constexpr std::string_view kCrash = "crash:", kGraph = "graph:";

static std::string_view plantedPlace() {
  const char *place = std::getenv("QUERN_PLANT_ERROR");
  return place ? place : "";
}

/// The one that is changed: next to the middle, and not 0, for that may be padding.
static int64_t chooseElement(const std::vector<double> &numbers) {
  auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  auto isNumber = [](double x) { return x != 0 && std::isfinite(x); };
  auto found = std::find_if(middle, numbers.end(), isNumber);
  if (found == numbers.end())
    found = std::find_if(numbers.begin(), middle, isNumber);
  return (found == numbers.end() ? middle : found) - numbers.begin();
}

/// Changes one element by an eighth of the largest magnitude of all; of integers a bit.
static void changeElement(Tensor &tensor) {
  std::vector<double> numbers = elementsAsDouble(tensor);
  if (numbers.empty())
    return;
  int64_t at = chooseElement(numbers);
  double largest = 0;
  for (double number : numbers)
    largest = std::isfinite(number) ? std::max(largest, std::abs(number)) : largest;
  double wrong = numbers[static_cast<size_t>(at)] + (largest > 0 ? largest / 8 : 1);
  switch (tensor.dtype()) {
  case DType::Float32:
    tensor.mutableData<float>()[at] = static_cast<float>(wrong);
    break;
  case DType::Float64:
    tensor.mutableData<double>()[at] = wrong;
    break;
  case DType::Float16:
    tensor.mutableData<Float16>()[at] = Float16(static_cast<float>(wrong));
    break;
  case DType::BFloat16:
    tensor.mutableData<BFloat16>()[at] = BFloat16(static_cast<float>(wrong));
    break;
  default: {
    uint8_t bit = tensor.dtype() == DType::UInt8 || tensor.dtype() == DType::Int8 ? 16 : 1;
    tensor.mutableData<uint8_t>()[at * dtypeBytes(tensor.dtype())] ^= bit;
  }
  }
}

namespace {
class PlantedError : public plan::StepObserver {
public:
  explicit PlantedError(std::string given) : place(std::move(given)) {
    crashes = place.starts_with(kCrash);
    if (crashes)
      place.erase(0, kCrash.size());
    const char *end = this->place.data() + this->place.size();
    size_t found = 0;
    auto [last, error] = std::from_chars(this->place.data(), end, found);
    if (error == std::errc() && last == end)
      step = found;
  }

  plan::StepsAround observe(const plan::ObservedOp &observed) override {
    if (observed.op.steps.empty() || !isPlace(observed))
      return {};
    plan::StepsAround around;
    around.rewrites = true;
    around.after =
        [crashes = crashes](const ReferenceArguments &given) -> Expected<std::vector<AnyValue>> {
      if (crashes)
        std::abort();
      std::vector<AnyValue> results;
      for (size_t i = 0; i < given.inputs.size(); ++i)
        results.push_back(given.inputs[i]);
      if (Tensor *first = results.front().asTensor())
        changeElement(*first);
      return results;
    };
    return around;
  }

private:
  bool isPlace(const plan::ObservedOp &observed) const {
    if (step)
      return observed.firstStep <= *step && *step < observed.endStep;
    std::vector<std::string> names = nn::nodeNames(observed.op.op->getLoc());
    return !nn::movesBlocks(observed.op.op) && std::ranges::find(names, place) != names.end();
  }

  std::string place;
  bool crashes = false;
  std::optional<size_t> step;
};
} // namespace

std::shared_ptr<plan::StepObserver> quern::plantedError() {
  std::string_view place = plantedPlace();
  return place.empty() || place.starts_with(kGraph)
             ? nullptr
             : std::make_shared<PlantedError>(std::string(place));
}

void quern::plantGraphError(mlir::func::FuncOp main) {
  std::string_view place = plantedPlace();
  if (!place.starts_with(kGraph))
    return;
  std::string node(place.substr(kGraph.size()));
  main.walk([&](mlir::Operation *op) {
    std::vector<std::string> names = nn::nodeNames(op->getLoc());
    if (op->getNumResults() == 0 || std::ranges::find(names, node) == names.end())
      return;
    mlir::Value result = op->getResult(0);
    auto same = llvm::find_if(op->getOperands(), [&](mlir::Value operand) {
      return operand.getType() == result.getType();
    });
    if (same != op->operand_end())
      result.replaceAllUsesWith(*same);
  });
}
