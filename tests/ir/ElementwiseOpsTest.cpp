//===- ElementwiseOpsTest.cpp - scalar references and code of the rows ----===//
#include "ir/NNDialect.h"
#include "ir/ScalarEmitter.h"
#include "ir/Types.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Verifier.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

using namespace quern;
using namespace quern::nn;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

const ElementwiseInfo &row(llvm::StringRef name) {
  const ElementwiseInfo *info = lookupElementwise(name);
  EXPECT_NE(info, nullptr) << name.str();
  return *info;
}

std::vector<double> paramsOf(const ElementwiseInfo &info) {
  std::vector<double> params;
  for (const ElementwiseParam &p : info.params)
    params.push_back(p.defaultValue);
  return params;
}

/// The op on floats, with the default parameters unless given.
double onFloat(llvm::StringRef name, std::vector<double> values, std::vector<double> params = {}) {
  const ElementwiseInfo &info = row(name);
  std::vector<Scalar> args;
  for (double v : values)
    args.push_back({.f = v});
  if (params.empty())
    params = paramsOf(info);
  return info.eval.onFloat(args.data(), params.data()).f;
}

int64_t onSigned(llvm::StringRef name, std::vector<int64_t> values) {
  std::vector<Scalar> args;
  for (int64_t v : values)
    args.push_back({.i = v});
  return row(name).eval.onSigned(args.data(), nullptr).i;
}

uint64_t onUnsigned(llvm::StringRef name, std::vector<uint64_t> values) {
  std::vector<Scalar> args;
  for (uint64_t v : values)
    args.push_back({.u = v});
  return row(name).eval.onUnsigned(args.data(), nullptr).u;
}

bool test(llvm::StringRef name, std::vector<double> values, std::vector<double> params = {}) {
  const ElementwiseInfo &info = row(name);
  std::vector<Scalar> args;
  for (double v : values)
    args.push_back({.f = v});
  if (params.empty())
    params = paramsOf(info);
  return info.eval.onFloat(args.data(), params.data()).u != 0;
}

} // namespace

TEST(ElementwiseOps, IntegerArithmeticIsDefinedEverywhere) {
  EXPECT_EQ(onSigned("nn.div", {7, 0}), 0);
  EXPECT_EQ(onSigned("nn.div", {kMin, -1}), kMin);
  EXPECT_EQ(onSigned("nn.div", {-7, 2}), -3);
  EXPECT_EQ(onUnsigned("nn.div", {7, 0}), 0u);
  EXPECT_EQ(onSigned("nn.mod", {7, 0}), 0);
  EXPECT_EQ(onSigned("nn.mod", {kMin, -1}), 0);
  EXPECT_EQ(onSigned("nn.fmod", {kMin, -1}), 0);
  EXPECT_EQ(onSigned("nn.abs", {kMin}), kMin);
  EXPECT_EQ(onSigned("nn.neg", {kMin}), kMin);
  EXPECT_EQ(onUnsigned("nn.shift_left", {1, 64}), 0u);
  EXPECT_EQ(onUnsigned("nn.shift_left", {1, 63}), uint64_t{1} << 63);
  EXPECT_EQ(onUnsigned("nn.shift_right", {~uint64_t{0}, 64}), 0u);
  EXPECT_EQ(onUnsigned("nn.shift_right", {16, 3}), 2u);
}

TEST(ElementwiseOps, BitwiseLogicOnBothKindsOfIntegers) {
  EXPECT_EQ(onSigned("nn.and", {-4, 7}), 4);
  EXPECT_EQ(onSigned("nn.or", {-4, 3}), -1);
  EXPECT_EQ(onSigned("nn.xor", {-1, kMin}), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(onSigned("nn.not", {5}), -6);
  EXPECT_EQ(onUnsigned("nn.and", {12, 10}), 8u);
  EXPECT_EQ(onUnsigned("nn.or", {12, 10}), 14u);
  EXPECT_EQ(onUnsigned("nn.xor", {12, 10}), 6u);
  EXPECT_EQ(onUnsigned("nn.not", {0}), ~uint64_t{0});
}

TEST(ElementwiseOps, RemaindersTakeTheSignOfDivisorOrDividend) {
  EXPECT_EQ(onSigned("nn.mod", {-7, 3}), 2);
  EXPECT_EQ(onSigned("nn.mod", {7, -3}), -2);
  EXPECT_EQ(onSigned("nn.mod", {-6, 3}), 0);
  EXPECT_EQ(onSigned("nn.fmod", {-7, 3}), -1);
  EXPECT_EQ(onSigned("nn.fmod", {7, -3}), 1);
  EXPECT_EQ(onFloat("nn.mod", {-7.5, 3}), 1.5);
  EXPECT_EQ(onFloat("nn.fmod", {-7.5, 3}), -1.5);
  EXPECT_TRUE(std::isnan(onFloat("nn.mod", {1, 0})));
}

TEST(ElementwiseOps, IntegerPowersWrap) {
  EXPECT_EQ(onSigned("nn.pow", {3, 4}), 81);
  EXPECT_EQ(onSigned("nn.pow", {-2, 63}), kMin);
  EXPECT_EQ(onSigned("nn.pow", {2, 64}), 0);
  EXPECT_EQ(onSigned("nn.pow", {0, 0}), 1);
  EXPECT_EQ(onSigned("nn.pow", {2, -1}), 0);
  EXPECT_EQ(onSigned("nn.pow", {-1, -3}), -1);
  EXPECT_EQ(onSigned("nn.pow", {1, kMin}), 1);
  EXPECT_EQ(onFloat("nn.pow", {2, 0.5}), std::sqrt(2.0));
}

TEST(ElementwiseOps, NaNWinsInMinMaxAndActivations) {
  for (llvm::StringRef name : {"nn.min", "nn.max"}) {
    EXPECT_TRUE(std::isnan(onFloat(name, {kNaN, 1}))) << name.str();
    EXPECT_TRUE(std::isnan(onFloat(name, {1, kNaN}))) << name.str();
  }
  for (llvm::StringRef name :
       {"nn.relu", "nn.leaky_relu", "nn.elu", "nn.sigmoid", "nn.hard_sigmoid", "nn.softplus",
        "nn.softsign", "nn.sign", "nn.abs"})
    EXPECT_TRUE(std::isnan(onFloat(name, {kNaN}))) << name.str();
  EXPECT_EQ(onFloat("nn.thresholded_relu", {kNaN}), 0);
}

TEST(ElementwiseOps, ActivationsTakeKnownValues) {
  EXPECT_EQ(onFloat("nn.relu", {-3}), 0);
  EXPECT_EQ(onFloat("nn.relu", {3}), 3);
  EXPECT_EQ(onFloat("nn.leaky_relu", {-2}, {0.25}), -0.5);
  EXPECT_EQ(onFloat("nn.thresholded_relu", {1}, {1}), 0);
  EXPECT_EQ(onFloat("nn.thresholded_relu", {1.5}, {1}), 1.5);
  EXPECT_DOUBLE_EQ(onFloat("nn.elu", {-1}, {2}), 2 * (std::exp(-1.0) - 1));
  EXPECT_DOUBLE_EQ(onFloat("nn.sigmoid", {0}), 0.5);
  EXPECT_EQ(onFloat("nn.sigmoid", {-1000}), 0);
  EXPECT_DOUBLE_EQ(onFloat("nn.hard_sigmoid", {1}), 0.7);
  EXPECT_EQ(onFloat("nn.hard_sigmoid", {9}), 1);
  EXPECT_EQ(onFloat("nn.softplus", {1000}), 1000);
  EXPECT_DOUBLE_EQ(onFloat("nn.softplus", {0}), std::log(2.0));
  EXPECT_EQ(onFloat("nn.softsign", {-3}), -0.75);
}

TEST(ElementwiseOps, RoundsHalvesToEven) {
  EXPECT_EQ(onFloat("nn.round", {0.5}), 0);
  EXPECT_EQ(onFloat("nn.round", {1.5}), 2);
  EXPECT_EQ(onFloat("nn.round", {-2.5}), -2);
  EXPECT_EQ(onFloat("nn.sign", {-0.25}), -1);
  EXPECT_EQ(onSigned("nn.sign", {7}), 1);
  EXPECT_EQ(onFloat("nn.div", {1, 0}), std::numeric_limits<double>::infinity());
}

TEST(ElementwiseOps, MultipliesAndAddsWithOneRounding) {
  // The product is 1 - 2^-60, which float64 alone would round to 1.
  double a = 1 + 0x1p-30, b = 1 - 0x1p-30;
  EXPECT_EQ(onFloat("nn.multiply_add", {a, b, -1}), -0x1p-60);
  EXPECT_EQ(onFloat("nn.multiply_add", {3, 5, 7}), 22);
}

TEST(ElementwiseOps, ComparesAndChooses) {
  EXPECT_TRUE(test("nn.less", {1, 2}));
  EXPECT_FALSE(test("nn.less_or_equal", {1, kNaN}));
  EXPECT_FALSE(test("nn.less_or_equal", {kNaN, kNaN}));
  EXPECT_FALSE(test("nn.equal", {kNaN, kNaN}));
  EXPECT_EQ(onFloat("nn.where", {1, 5, 6}), 5);
  EXPECT_EQ(onFloat("nn.where", {0, 5, 6}), 6);
}

TEST(ElementwiseOps, RowsAreUniqueAndComplete) {
  ASSERT_GT(elementwiseTable().size(), 40u);
  std::set<std::string> names, onnxNames;
  mlir::MLIRContext context;
  context.loadDialect<NNDialect>();
  for (const ElementwiseInfo *info : elementwiseTable()) {
    EXPECT_TRUE(names.insert(info->opName.str()).second) << info->opName.str();
    if (!info->onnxName.empty()) {
      EXPECT_TRUE(onnxNames.insert(info->onnxName.str()).second) << info->onnxName.str();
      EXPECT_EQ(lookupElementwiseByOnnxName(info->onnxName), info);
    }
    EXPECT_EQ(info->eval.onFloat != nullptr, (info->domain & kFloatClass) != 0);
    EXPECT_EQ(info->eval.onSigned != nullptr, (info->domain & kSignedClass) != 0);
    EXPECT_EQ(info->eval.onUnsigned != nullptr, (info->domain & kUnsignedClass) != 0);
    EXPECT_EQ(info->eval.onBool != nullptr, (info->domain & kBoolClass) != 0);
  }
}

/// Emits `info` on values of `dtype` in a function and verifies the module.
static void expectValidCode(mlir::MLIRContext &context, const ElementwiseInfo &info, DType dtype,
                            int64_t lanes) {
  mlir::OpBuilder builder(&context);
  mlir::Location loc = builder.getUnknownLoc();
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(loc);
  ScalarEmitter emitter(builder, loc, dtype, lanes);
  llvm::SmallVector<mlir::Type> types(info.arity, emitter.typeOf(dtype));
  if (info.opName == "nn.where")
    types[0] = emitter.typeOf(DType::Bool);
  bool isTest = info.result == ResultElement::Bool;
  mlir::Type result = emitter.typeOf(isTest ? DType::Bool : dtype);
  builder.setInsertionPointToEnd(module->getBody());
  auto function =
      builder.create<mlir::func::FuncOp>(loc, "f", builder.getFunctionType(types, {result}));
  builder.setInsertionPointToEnd(function.addEntryBlock());
  mlir::Value value = info.emit(emitter, function.getArguments(), paramsOf(info));
  builder.create<mlir::func::ReturnOp>(loc, value);
  EXPECT_TRUE(mlir::succeeded(mlir::verify(*module)))
      << info.opName.str() << " on " << dtypeName(dtype) << ", lanes " << lanes;
}

TEST(ElementwiseOps, EveryRowEmitsValidCodeForEveryTypeOfItsDomain) {
  mlir::MLIRContext context;
  context.loadDialect<NNDialect, mlir::arith::ArithDialect, mlir::math::MathDialect,
                      mlir::func::FuncDialect>();
  for (const ElementwiseInfo *info : elementwiseTable())
    for (DType dtype : {DType::Float32, DType::Float64, DType::Int8, DType::Int64, DType::UInt8,
                        DType::UInt64, DType::Bool})
      if (info->domain & elementClassOf(dtype))
        for (int64_t lanes : {0, 8})
          expectValidCode(context, *info, dtype, lanes);
}

TEST(ScalarEmitter, CastsBetweenAllTypes) {
  mlir::MLIRContext context;
  context.loadDialect<mlir::arith::ArithDialect, mlir::func::FuncDialect>();
  const DType types[] = {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64,
                         DType::Int8,    DType::Int32,    DType::Int64,   DType::UInt8,
                         DType::UInt64,  DType::Bool};
  for (DType from : types)
    for (DType to : types) {
      mlir::OpBuilder builder(&context);
      mlir::Location loc = builder.getUnknownLoc();
      mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(loc);
      ScalarEmitter emitter(builder, loc, from, /*lanes=*/4);
      builder.setInsertionPointToEnd(module->getBody());
      auto function = builder.create<mlir::func::FuncOp>(
          loc, "f", builder.getFunctionType({emitter.typeOf(from)}, {emitter.typeOf(to)}));
      builder.setInsertionPointToEnd(function.addEntryBlock());
      builder.create<mlir::func::ReturnOp>(loc, emitter.castTo(function.getArgument(0), to));
      EXPECT_TRUE(mlir::succeeded(mlir::verify(*module)))
          << dtypeName(from) << " to " << dtypeName(to);
    }
}
