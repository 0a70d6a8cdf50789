//===- MathTest.cpp - accuracy of expanded math functions -----------------===//
#include "backends/native/CodeGen.h"
#include "backends/native/Jit.h"
#include "tests/native/KernelTest.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <bit>
#include <cmath>

using namespace quern;
using namespace quern::native;

namespace {
struct MathFunction {
  const char *name;
  double (*reference)(double);
  double maxUlps;
};
const MathFunction kFunctions[] = {
    {"math.exp", std::exp, 2},     {"math.expm1", std::expm1, 3}, {"math.log", std::log, 2},
    {"math.log1p", std::log1p, 3}, {"math.tanh", std::tanh, 3},   {"math.erf", std::erf, 3},
};

/// A kernel that applies `name` to 16 floats per task, `lanes` at a time.
Expected<KernelFunction> compileMath(Jit &jit, const Target &target, std::string name,
                                     int64_t lanes) {
  std::string symbol = "kernel_" + name.substr(5) + std::to_string(lanes);
  KernelBuilder kb(target, symbol);
  kb.forLoop(kb.mul(kb.taskBegin(), 16), kb.mul(kb.taskEnd(), 16), std::max<int64_t>(lanes, 1),
             [&](mlir::Value i) {
               auto at = [&](int64_t b) { return kb.advance(kb.buffer(b), i, DType::Float32); };
               mlir::Value x = kb.load(at(0), DType::Float32, lanes);
               mlir::OperationState op(kb.loc(), name, {x}, {x.getType()}, {});
               kb.store(kb.builder().create(op)->getResult(0), at(1), DType::Float32, lanes);
             });
  QUERN_ASSIGN(ObjectCode object, compileKernel(kb.finish(), target));
  QUERN_TRY(jit.addObject(object));
  return jit.lookup(symbol);
}

/// The distance in units of the last place of a float at `wanted`.
double ulpsBetween(float found, double wanted) {
  if (std::isnan(wanted) || std::isnan(found))
    return std::isnan(wanted) && std::isnan(found) ? 0 : INFINITY;
  if (found == static_cast<float>(wanted))
    return 0;
  int exponent = std::max(std::ilogb(wanted), -126);
  return std::abs(found - wanted) / std::ldexp(1.0, exponent - 23);
}

class MathTest : public testing::TestWithParam<std::string> {};
} // namespace

INSTANTIATE_TEST_SUITE_P(Targets, MathTest, testing::ValuesIn(runnableTargets()));

TEST_P(MathTest, staysWithinItsErrorOverAllFloats) {
  // A stride that meets all exponents and no pattern of mantissas.
  constexpr uint64_t kStride = 4099;
  std::vector<float> inputs = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1.0f, -1.0f, 88.8f};
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += kStride)
    inputs.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  while (inputs.size() % 16 != 0)
    inputs.push_back(0.5f);
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  std::vector<float> results(inputs.size());
  void *buffers[] = {inputs.data(), results.data()};
  for (const MathFunction &f : kFunctions)
    for (int64_t lanes : {int64_t{0}, target.lanes(DType::Float32)}) {
      auto kernel = compileMath(**jit, target, f.name, lanes);
      ASSERT_TRUE(kernel) << kernel.status().message();
      (*kernel)(buffers, nullptr, 0, static_cast<int64_t>(inputs.size() / 16));
      double worst = 0;
      float worstInput = 0;
      for (size_t i = 0; i < inputs.size(); ++i) {
        double ulps = ulpsBetween(results[i], f.reference(inputs[i]));
        if (ulps > worst) {
          worst = ulps;
          worstInput = inputs[i];
        }
      }
      EXPECT_LE(worst, f.maxUlps) << f.name << "(" << worstInput << ") with " << lanes << " lanes";
      RecordProperty(std::string(f.name) + std::to_string(lanes), std::to_string(worst));
    }
}

/// Powers with constant exponents need no logarithm; others go to libm.
TEST_P(MathTest, expandsPowersWithConstantExponents) {
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  float input[] = {3.0f, -2.0f, 0.0f, -INFINITY, INFINITY, NAN, 0.25f, 7.0f};
  for (double exponent : {1.0, 2.0, -1.0, 0.5, 2.5}) {
    std::string symbol = "power" + std::to_string(int(exponent * 10) + 100);
    KernelBuilder kb(target, symbol);
    kb.forLoop(kb.taskBegin(), kb.taskEnd(), 1, [&](mlir::Value i) {
      mlir::Value x = kb.load(kb.advance(kb.buffer(0), i, DType::Float32), DType::Float32, 0);
      mlir::Value y = kb.builder().create<mlir::math::PowFOp>(
          kb.loc(), x, kb.floatConstant(DType::Float32, 0, exponent));
      kb.store(y, kb.advance(kb.buffer(1), i, DType::Float32), DType::Float32, 0);
    });
    auto object = compileKernel(kb.finish(), target);
    ASSERT_TRUE(object) << object.status().message();
    ASSERT_TRUE((*jit)->addObject(*object).isOk());
    auto kernel = (*jit)->lookup(symbol);
    ASSERT_TRUE(kernel);
    float result[8];
    void *buffers[] = {input, result};
    (*kernel)(buffers, nullptr, 0, 8);
    for (int i = 0; i < 8; ++i)
      EXPECT_LE(ulpsBetween(result[i], std::pow(double(input[i]), exponent)), 1)
          << input[i] << " to the power of " << exponent;
  }
}
