//===- MathTest.cpp - accuracy of expanded math functions -----------------===//
#include "backends/native/codegen/CodeGen.h"
#include "backends/native/codegen/Jit.h"
#include "ir/Elementwise.h"
#include "ir/ScalarEmitter.h"
#include "tests/native/KernelTest.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <bit>
#include <cmath>
#include <numbers>
#include <optional>
#include <random>
#include <regex>

using namespace quern;
using namespace quern::native;
using namespace quern::plan;

namespace {
struct MathFunction {
  const char *name;
  double (*reference)(double);
  double maxUlps;
};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

const MathFunction kFunctions[] = {
    {"math.exp", std::exp, 1.2},   {"math.expm1", std::expm1, 3}, {"math.log", std::log, 2},
    {"math.log1p", std::log1p, 3}, {"math.tanh", std::tanh, 1.5}, {"math.erf", std::erf, 3},
    {"math.sin", std::sin, 1},     {"math.cos", std::cos, 1},     {"math.tan", std::tan, 1},
    {"math.asin", std::asin, 1},   {"math.acos", std::acos, 1},   {"math.atan", std::atan, 1},
    {"math.sinh", std::sinh, 1},   {"math.cosh", std::cosh, 1},   {"math.asinh", std::asinh, 1},
    {"math.acosh", std::acosh, 1}, {"math.atanh", std::atanh, 1}, {"nn.sigmoid", sigmoid, 2.5},
};

/// Floats of one task: whole vectors of any number of lanes that is tried.
constexpr int64_t kTask = 64;

/// The exact GELU with its factors in an order of exporters, or with another last factor.
mlir::Value emitGelu(nn::ScalarEmitter e, const std::string &order, mlir::Value x) {
  mlir::Value scaled = order == "halfOfX" ? e.mul(x, e.constant(std::numbers::sqrt2 / 2))
                                          : e.div(x, e.constant(std::numbers::sqrt2));
  mlir::Value sum = e.add(e.erf(scaled), e.constant(1)), half = e.constant(0.5);
  if (order == "halfOfX")
    return e.mul(e.mul(x, half), sum);
  if (order == "halfOfSum")
    return e.mul(x, e.mul(half, sum));
  return e.mul(e.mul(sum, x), order == "halfLast" ? half : e.constant(0.6));
}

/// The op of MLIR or elementwise op of this name, of one operand.
mlir::Value emitFunction(KernelBuilder &kb, const std::string &name, mlir::Value x, int64_t lanes) {
  if (name.starts_with("gelu."))
    return emitGelu({kb.builder(), kb.loc(), DType::Float32, lanes}, name.substr(5), x);
  if (name.starts_with("rounded.")) {
    nn::ScalarEmitter emitter(kb.builder(), kb.loc(), DType::Float32, lanes);
    mlir::Value wide = nn::lookupElementwise("nn.sigmoid")->emit(emitter, x, {});
    if (name == "rounded.silu")
      wide = emitter.mul(wide, x);
    if (name == "rounded.tanh")
      wide = emitter.add(emitter.mul(wide, kb.floatConstant(DType::Float32, lanes, 2)),
                         kb.floatConstant(DType::Float32, lanes, -1));
    auto halves = nn::registerType(kb.builder().getContext(), DType::BFloat16, lanes);
    mlir::Value half = kb.builder().create<mlir::arith::TruncFOp>(kb.loc(), halves, wide);
    return kb.builder().create<mlir::arith::ExtFOp>(kb.loc(), x.getType(), half);
  }
  if (const nn::ElementwiseInfo *row = nn::lookupElementwise(name)) {
    nn::ScalarEmitter emitter(kb.builder(), kb.loc(), DType::Float32, lanes);
    return row->emit(emitter, x, {});
  }
  mlir::OperationState op(kb.loc(), name, {x}, {x.getType()}, {});
  return kb.builder().create(op)->getResult(0);
}

/// A kernel that applies `name` to `kTask` floats per task, `lanes` at a time.
Expected<KernelFunction> compileMath(Jit &jit, const Target &target, std::string name,
                                     int64_t lanes) {
  std::string symbol = "kernel_" + name.substr(name.find('.') + 1) + std::to_string(lanes);
  KernelBuilder kb(target, symbol);
  kb.forLoop(kb.mul(kb.taskBegin(), kTask), kb.mul(kb.taskEnd(), kTask),
             std::max<int64_t>(lanes, 1), [&](mlir::Value i) {
               auto at = [&](int64_t b) { return kb.advance(kb.buffer(b), i, DType::Float32); };
               mlir::Value x = kb.load(at(0), DType::Float32, lanes);
               kb.store(emitFunction(kb, name, x, lanes), at(1), DType::Float32, lanes);
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

namespace {
/// Floats at a stride that meets all exponents and no pattern of mantissas, and special ones.
std::vector<float> floatsOfAllKinds() {
  constexpr uint64_t kStride = 4099;
  std::vector<float> floats = {0.0f,  -0.0f, INFINITY, -INFINITY, NAN,    1.0f,   -1.0f,
                               88.8f, 3e38f, -3e38f,   -88.8f,    -100.f, 1e-45f, -1e-45f};
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += kStride)
    floats.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  floats.resize((floats.size() + kTask - 1) / kTask * kTask, 0.5f);
  return floats;
}

/// `name` of all inputs by a kernel that takes `lanes` at a time.
std::vector<float> computeMath(Jit &jit, const Target &target, const std::string &name,
                               int64_t lanes, std::vector<float> &inputs) {
  std::vector<float> results(inputs.size());
  auto kernel = compileMath(jit, target, name, lanes);
  EXPECT_TRUE(kernel) << kernel.status().message();
  void *buffers[] = {inputs.data(), results.data()};
  if (kernel)
    (*kernel)(buffers, nullptr, 0, static_cast<int64_t>(inputs.size()) / kTask, nullptr);
  return results;
}
} // namespace

TEST_P(MathTest, staysWithinItsErrorOverAllFloats) {
  std::vector<float> inputs = floatsOfAllKinds();
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  for (const MathFunction &f : kFunctions) {
    std::vector<float> results = computeMath(**jit, target, f.name, 0, inputs);
    double worst = 0;
    float worstInput = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      double ulps = ulpsBetween(results[i], f.reference(inputs[i]));
      if (ulps > worst) {
        worst = ulps;
        worstInput = inputs[i];
      }
    }
    EXPECT_LE(worst, f.maxUlps) << f.name << "(" << worstInput << ")";
    RecordProperty(f.name, std::to_string(worst));
  }
}

/// Elements have the same bits in scalars, in parts of a vector and in several vectors, so that
/// results do not depend on where an element stands. (libm takes a whole vector that has one of
/// its angles.)
TEST_P(MathTest, givesTheSameBitsWithAnyNumberOfLanes) {
  std::vector<float> inputs = floatsOfAllKinds();
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  int64_t full = target.lanes(DType::Float32);
  for (const MathFunction &f : kFunctions) {
    std::string_view name = f.name;
    if (name == "math.sin" || name == "math.cos" || name == "math.tan")
      continue;
    std::vector<float> scalars = computeMath(**jit, target, f.name, 0, inputs);
    for (int64_t lanes : {full / 2, full, 4 * full}) {
      std::vector<float> vectors = computeMath(**jit, target, f.name, lanes, inputs);
      size_t differences = 0;
      for (size_t i = 0; i < inputs.size(); ++i)
        if (std::bit_cast<uint32_t>(vectors[i]) != std::bit_cast<uint32_t>(scalars[i]))
          differences += !std::isnan(vectors[i]) || !std::isnan(scalars[i]);
      EXPECT_EQ(differences, 0u) << f.name << " with " << lanes << " lanes";
    }
  }
}

namespace {
/// The assembly of one full vector of `name`.
std::string assemblyOf(const Target &target, const std::string &name) {
  KernelBuilder kb(target, "kernel");
  int64_t lanes = target.lanes(DType::Float32);
  mlir::Value x = kb.load(kb.buffer(0), DType::Float32, lanes);
  kb.store(emitFunction(kb, name, x, lanes), kb.buffer(1), DType::Float32, lanes);
  std::string assembly;
  auto object = compileKernel(kb.finish(), target, &assembly);
  EXPECT_TRUE(object) << object.status().message();
  return assembly;
}
} // namespace

/// What only AVX-512 has is used there, whatever this machine is, and nowhere else.
TEST(MathInstructionsTest, followTheTarget) {
  struct Row {
    const char *function, *has;
  };
  const char *triple = "x86_64-linux-gnu";
  for (Row row :
       {Row{"math.exp", "vscalefps"}, Row{"math.exp", "vpermps"}, Row{"nn.sigmoid", "vpermps"},
        Row{"math.erf", "vperm"}, Row{"math.tanh", "vperm"}}) {
    std::string skylake = assemblyOf(resolveTarget("skylake-avx512", triple).take(), row.function);
    EXPECT_NE(skylake.find(row.has), std::string::npos) << skylake;
    std::string haswell = assemblyOf(resolveTarget("haswell", triple).take(), row.function);
    EXPECT_EQ(haswell.find(row.has), std::string::npos) << haswell;
  }
}

/// x times the normal distribution function, whatever the order of its steps: the same one.
TEST_P(MathTest, geluIsOneFunctionInAnyOrder) {
  std::vector<float> inputs = floatsOfAllKinds(), first;
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  for (const char *name : {"gelu.halfLast", "gelu.halfOfX", "gelu.halfOfSum"}) {
    std::vector<float> found = computeMath(**jit, target, name, 0, inputs);
    std::vector<float> vectors = computeMath(**jit, target, name, 16, inputs);
    for (size_t i = 0; i < inputs.size(); i += 5) {
      double x = inputs[i], wanted = x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
      // -infinity times zero.
      if (std::isnan(x) || x == -INFINITY)
        EXPECT_TRUE(std::isnan(found[i])) << name << "(" << x << ")";
      else if (std::isfinite(x) && std::abs(x) < 1e38)
        EXPECT_NEAR(found[i], wanted, 2.5e-7 * std::abs(x) + 3e-45) << name << "(" << x << ")";
      EXPECT_TRUE(std::bit_cast<uint32_t>(found[i]) == std::bit_cast<uint32_t>(vectors[i]) ||
                  std::isnan(found[i]));
      if (!first.empty())
        EXPECT_TRUE(std::bit_cast<uint32_t>(found[i]) == std::bit_cast<uint32_t>(first[i]) ||
                    std::isnan(found[i]));
    }
    first = found;
  }
}

TEST(MathInstructionsTest, geluDoesNotDivide) {
  for (const char *cpu : {"haswell", "skylake-avx512"}) {
    Target target = resolveTarget(cpu, "x86_64-linux-gnu").take();
    EXPECT_EQ(assemblyOf(target, "gelu.halfLast").find("vdivps"), std::string::npos) << cpu;
    EXPECT_NE(assemblyOf(target, "gelu.other").find("vdivps"), std::string::npos) << cpu;
  }
}

/// What is rounded to bfloat16 is off by little more than the rounding, and has the same bits in
/// scalars and in vectors.
TEST_P(MathTest, sigmoidsThatAreRoundedToBf16) {
  std::vector<float> inputs = floatsOfAllKinds();
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  for (std::string name : {"rounded.sigmoid", "rounded.silu"}) {
    std::vector<float> found = computeMath(**jit, target, name, 0, inputs),
                       vectors = computeMath(**jit, target, name, 4 * target.lanes(DType::Float32),
                                             inputs);
    for (size_t i = 0; i < inputs.size(); ++i) {
      double x = inputs[i], wanted = sigmoid(x) * (name == "rounded.silu" ? x : 1);
      ASSERT_EQ(std::isnan(found[i]), std::isnan(wanted)) << name << "(" << x << ")";
      if (std::isnan(wanted) || std::abs(wanted) > 3.38e38) // which rounds to infinity
        continue;
      ASSERT_EQ(std::bit_cast<uint32_t>(found[i]), std::bit_cast<uint32_t>(vectors[i])) << x;
      // Half a unit of the last of 8 bits, and a little; next to nothing may be nothing.
      double unit = std::ldexp(1.0, std::max(std::ilogb(wanted), -126) - 7);
      ASSERT_LE(std::abs(found[i] - wanted), 0.54 * unit + 1e-36) << name << "(" << x << ")";
    }
  }
}

TEST(MathInstructionsTest, sigmoidsThatAreRoundedToBf16DoNotDivide) {
  Target target = resolveTarget("znver4", "x86_64-linux-gnu").take();
  EXPECT_NE(assemblyOf(target, "rounded.silu").find("vrcp14ps"), std::string::npos);
  EXPECT_EQ(assemblyOf(target, "rounded.silu").find("vdivps"), std::string::npos);
  EXPECT_NE(assemblyOf(target, "nn.sigmoid").find("vdivps"), std::string::npos);
  EXPECT_NE(assemblyOf(target, "rounded.tanh").find("vdivps"), std::string::npos)
      << "a difference from 1 keeps less than all of its bits";
}

/// The whole of a sigmoid is found, not its exponential alone: no lane chooses between two
/// quotients.
TEST(MathInstructionsTest, sigmoidIsOneFunction) {
  for (const char *cpu : {"skylake-avx512", "haswell"}) {
    Target target = resolveTarget(cpu, "x86_64-linux-gnu").take();
    std::string assembly = assemblyOf(target, "nn.sigmoid");
    EXPECT_EQ(assembly.find("vcmp"), std::string::npos) << assembly;
    EXPECT_EQ(assembly.find("vblend"), std::string::npos) << assembly;
  }
}

/// The worst of all floats is among the second; the others meet the ends of an octave, and results
/// that are subnormal.
TEST_P(MathTest, sigmoidKeepsItsErrorAmongNeighbours) {
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  std::vector<float> inputs;
  for (float first : {-0.34f, -16.6f, -87.3f, -103.5f, 0.34f})
    for (uint32_t i = 0; i < uint32_t{1} << 17; ++i)
      inputs.push_back(std::bit_cast<float>(std::bit_cast<uint32_t>(first) + i));
  std::vector<float> found =
      computeMath(**jit, target, "nn.sigmoid", target.lanes(DType::Float32), inputs);
  double worst = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    worst = std::max(worst, ulpsBetween(found[i], sigmoid(inputs[i])));
  EXPECT_LE(worst, 2.5);
}

/// Odd to the bit, never beyond 1, and 1 in the end.
TEST_P(MathTest, sigmoidalFunctionsAreOddAndBounded) {
  std::vector<float> inputs = floatsOfAllKinds(), negated = inputs;
  for (float &x : negated)
    x = -x;
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  for (const char *name : {"math.erf", "math.tanh"}) {
    std::vector<float> found = computeMath(**jit, target, name, 0, inputs);
    std::vector<float> mirrored =
        computeMath(**jit, target, name, target.lanes(DType::Float32), negated);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (std::isnan(inputs[i]))
        continue;
      ASSERT_EQ(found[i], -mirrored[i]) << name << " of " << inputs[i];
      ASSERT_LE(std::abs(found[i]), 1) << name << " of " << inputs[i];
      if (std::abs(inputs[i]) > 9.02f)
        ASSERT_EQ(std::abs(found[i]), 1) << name << " of " << inputs[i];
    }
  }
}

/// Neighbouring numbers, where results are a few units from 1: scores keep their order.
TEST_P(MathTest, sigmoidRises) {
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  std::vector<float> inputs;
  for (float first : {2.0f, 4.5f, 8.0f, 13.0f})
    for (uint32_t i = 0; i < uint32_t{1} << 18; ++i)
      inputs.push_back(std::bit_cast<float>(std::bit_cast<uint32_t>(first) + i));
  EXPECT_TRUE(std::ranges::is_sorted(
      computeMath(**jit, target, "nn.sigmoid", target.lanes(DType::Float32), inputs)));
}

/// Without a call there is no libm. (Sines, cosines, tangents and remainders have
/// one behind a branch.)
TEST_P(MathTest, callsNoLibrary) {
  Target target = resolveTarget(GetParam()).take();
  for (std::string name : {"math.exp", "math.expm1", "math.log", "math.log1p", "math.tanh",
                           "math.erf", "math.asin", "math.acos", "math.atan", "math.sinh",
                           "math.cosh", "math.asinh", "math.acosh", "math.atanh", "math.powf"}) {
    KernelBuilder kb(target, "kernel");
    int64_t lanes = target.lanes(DType::Float32);
    auto load = [&](int64_t b) { return kb.load(kb.buffer(b), DType::Float32, lanes); };
    llvm::SmallVector<mlir::Value> operands = {load(0)};
    if (name == "math.powf")
      operands.push_back(load(1));
    mlir::OperationState op(kb.loc(), name, operands, {operands[0].getType()}, {});
    kb.store(kb.builder().create(op)->getResult(0), kb.buffer(2), DType::Float32, lanes);
    std::string assembly;
    auto object = compileKernel(kb.finish(), target, &assembly);
    ASSERT_TRUE(object) << object.status().message();
    // But that of the kernel's code by its entry, which aligns the stack.
    assembly = std::regex_replace(assembly, std::regex("callq?\tkernel\\.code"), "");
    EXPECT_EQ(assembly.find("call"), std::string::npos) << name << "\n" << assembly;
  }
}

/// Zeros of both signs, and numbers that are next to nothing.
TEST_P(MathTest, oddFunctionsKeepTheSignOfZero) {
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  float input[kTask] = {0.0f, -0.0f, 1e-45f, -1e-45f, 1e-38f, -1e-38f}, result[kTask];
  void *buffers[] = {input, result};
  for (const char *name : {"math.sin", "math.tan", "math.asin", "math.atan", "math.sinh",
                           "math.asinh", "math.atanh", "math.tanh", "math.erf"}) {
    auto kernel = compileMath(**jit, target, name, target.lanes(DType::Float32));
    ASSERT_TRUE(kernel) << kernel.status().message();
    (*kernel)(buffers, nullptr, 0, 1, nullptr);
    for (int i = 0; i < 6; ++i)
      EXPECT_EQ(std::signbit(result[i]), std::signbit(input[i])) << name << " of " << input[i];
  }
}

namespace {
/// A kernel of one element per task: buffer 0 to the power of buffer 1 or, when
/// it is given, of `exponent`.
Expected<KernelFunction> compilePower(Jit &jit, const Target &target, DType dtype,
                                      std::optional<double> exponent, int64_t lanes) {
  static int number = 0;
  std::string symbol = "power" + std::to_string(number++);
  KernelBuilder kb(target, symbol);
  kb.forLoop(kb.mul(kb.taskBegin(), 16), kb.mul(kb.taskEnd(), 16), std::max<int64_t>(lanes, 1),
             [&](mlir::Value i) {
               auto at = [&](int64_t b) { return kb.advance(kb.buffer(b), i, dtype); };
               mlir::Value x = kb.load(at(0), dtype, lanes);
               mlir::Value y = exponent ? kb.floatConstant(dtype, lanes, *exponent)
                                        : kb.load(at(1), dtype, lanes);
               mlir::Value power = kb.builder().create<mlir::math::PowFOp>(kb.loc(), x, y);
               kb.store(power, at(2), dtype, lanes);
             });
  QUERN_ASSIGN(ObjectCode object, compileKernel(kb.finish(), target));
  QUERN_TRY(jit.addObject(object));
  return jit.lookup(symbol);
}

/// Checks `found` against C's pow: equal where it is no finite normal number,
/// with the sign of zeros, and within `maxUlps` elsewhere.
template <typename T> void expectPower(T found, T x, T y, double maxUlps) {
  double wanted = std::pow(double(x), double(y));
  if constexpr (std::is_same_v<T, float>) {
    EXPECT_LE(ulpsBetween(found, wanted), maxUlps) << x << " ^ " << y << " is " << found;
  } else {
    bool same = found == wanted || (std::isnan(found) && std::isnan(wanted)) ||
                std::abs(found - wanted) <= maxUlps * 0x1p-52 * std::abs(wanted);
    EXPECT_TRUE(same) << x << " ^ " << y << " is " << found;
  }
  if (!std::isnan(wanted))
    EXPECT_EQ(std::signbit(found), std::signbit(wanted)) << x << " ^ " << y << " is " << found;
}

template <typename T>
constexpr DType kDTypeOf = std::is_same_v<T, float> ? DType::Float32 : DType::Float64;

constexpr double kSpecialBases[] = {0.0,   -0.0, 1.0,    -1.0,    INFINITY, -INFINITY,
                                    NAN,   0.5,  -0.5,   2.0,     -2.0,     3.0,
                                    -3.0,  0.25, 1e-40,  -1e-40,  1e30,     7e37,
                                    -7e37, 1e20, 0x1p70, 0x1p-70, 0x1p127,  -0x1p127};
const double kSpecialExponents[] = {
    0.0,   -0.0, 1,    -1,  2,        -2,        3,    -3,        4,           -4,       5,
    -5,    7,    16,   -16, 33,       64,        100,  -101,      0.5,         -0.5,     0.25,
    0.75,  1.5,  -1.5, 2.5, 2.7,      -3.3,      0.1,  1.0 / 3,   -2.5,        1e30,     -1e30,
    1e-30, NAN,  3e38, 1e9, INFINITY, -INFINITY, 41.5, 16777215., -16777215.0, 8388609.5};

/// Every base with every exponent, the exponents as constants of the code and as
/// elements of a tensor.
template <typename T> void checkSpecialPowers(Jit &jit, const Target &target) {
  constexpr DType dtype = kDTypeOf<T>;
  std::vector<T> x(std::begin(kSpecialBases), std::end(kSpecialBases));
  x.resize((x.size() + 15) / 16 * 16, T(1.5));
  std::vector<T> y(x.size()), result(x.size());
  void *buffers[] = {x.data(), y.data(), result.data()};
  for (int64_t lanes : {int64_t{0}, target.lanes(dtype)}) {
    auto general = compilePower(jit, target, dtype, std::nullopt, lanes);
    ASSERT_TRUE(general) << general.status().message();
    for (double exponent : kSpecialExponents) {
      auto constant = compilePower(jit, target, dtype, exponent, target.lanes(dtype));
      ASSERT_TRUE(constant) << constant.status().message();
      y.assign(y.size(), static_cast<T>(exponent));
      for (KernelFunction kernel : {*general, *constant}) {
        kernel(buffers, nullptr, 0, static_cast<int64_t>(x.size() / 16), nullptr);
        for (size_t i = 0; i < x.size(); ++i)
          expectPower(result[i], x[i], y[i], 3);
      }
    }
  }
}
} // namespace

TEST_P(MathTest, powersAreThoseOfCOnSpecialValues) {
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  checkSpecialPowers<float>(**jit, target);
  checkSpecialPowers<double>(**jit, target);
}

/// The largest error of constant exponents over all floats, and of exponents
/// that keep the power in range.
TEST_P(MathTest, powersStayWithinTheirErrorOverAllFloats) {
  Target target = resolveTarget(GetParam()).take();
  auto jit = Jit::create(target);
  ASSERT_TRUE(jit);
  constexpr uint64_t kStride = 16411;
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += kStride)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  x.resize((x.size() + 15) / 16 * 16, 1.0f);
  std::vector<float> y(x.size()), result(x.size());
  void *buffers[] = {x.data(), y.data(), result.data()};
  auto check = [&](std::optional<double> exponent, double maxUlps) {
    auto kernel =
        compilePower(**jit, target, DType::Float32, exponent, target.lanes(DType::Float32));
    ASSERT_TRUE(kernel) << kernel.status().message();
    (*kernel)(buffers, nullptr, 0, static_cast<int64_t>(x.size() / 16), nullptr);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, ulpsBetween(result[i], std::pow(double(x[i]), double(y[i]))));
    EXPECT_LE(worst, maxUlps) << (exponent ? std::to_string(*exponent) : "tensor");
    RecordProperty(exponent ? "power" + std::to_string(*exponent) : "powers",
                   std::to_string(worst));
  };
  for (double exponent : {2.0, 3.0, 4.0, -1.0, -2.0, 0.5, -0.5, 0.25, 1.5, 2.5}) {
    y.assign(y.size(), static_cast<float>(exponent));
    check(exponent, 3);
  }
  for (double exponent : {-3.0, 5.0, 17.0, 0.75, 2.7, -0.1}) {
    y.assign(y.size(), static_cast<float>(exponent));
    check(static_cast<float>(exponent), 1);
  }
  std::mt19937 random(1);
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = std::abs(x[i]);
    double largest = 150 / std::max(std::abs(std::log2(double(x[i]))), 1e-6);
    y[i] = static_cast<float>(std::uniform_real_distribution(-largest, largest)(random));
  }
  check(std::nullopt, 1);
}
