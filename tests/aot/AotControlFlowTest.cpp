//===- AotControlFlowTest.cpp - branches and loops ahead of time ----------===//
//
// The same modules run as code and with the JIT, which must give the same bits.
//
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "tests/aot/BothWays.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"

#include <gmock/gmock.h>
#include <optional>

using namespace quern;
using namespace quern::native;
using testing::HasSubstr;

namespace {
class AotControlFlowTest : public AotTest {
protected:
  mlir::OwningOpRef<mlir::ModuleOp> parseInferred(const std::string &text) {
    mlir::OwningOpRef<mlir::ModuleOp> module = parse(text);
    mlir::PassManager pm(context.get());
    pm.addNestedPass<mlir::func::FuncOp>(passes::createInferShapesPass());
    EXPECT_TRUE(module && mlir::succeeded(pm.run(*module)));
    return module;
  }

  /// Compiles to a library, which later calls of `expectSame` use.
  void load(const std::string &text, const AotOptions &options = {}) {
    both.reset();
    auto made = BothWays::compile(*parseInferred(text), folder, options);
    ASSERT_TRUE(made) << made.status().message();
    both.emplace(made.take());
  }
  void expectSame(const std::vector<Tensor> &inputs) {
    ASSERT_TRUE(both);
    EXPECT_EQ(both->difference(inputs), "");
  }

  std::optional<BothWays> both;
};

Tensor floats(const Tensor::Dims &dims, float first = 0.25f) {
  Tensor tensor = Tensor::allocate(DType::Float32, dims).take();
  for (int64_t i = 0; i < tensor.numElements(); ++i)
    tensor.mutableData<float>()[i] = first + 0.37f * static_cast<float>(i % 11) - 1.5f;
  return tensor;
}
Tensor number(int64_t value) { return Tensor::of<int64_t>({}, {value}); }
Tensor flag(bool value) { return Tensor::of<bool>({}, {value}); }
} // namespace

TEST_F(AotControlFlowTest, Branches) {
  load(R"mlir(
    func.func @main(%c: tensor<i1>, %x: tensor<5x4xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
      %w = nn.constant dense<[[1.5, 2.0], [0.5, 1.0], [3.0, 0.25], [1.0, 1.0]]> : tensor<4x2xf32>
      %y = nn.sigmoid %x : (tensor<5x4xf32>) -> tensor<5x4xf32>
      %0:2 = nn.if %c {
        %1 = nn.matmul %y, %w : (tensor<5x4xf32>, tensor<4x2xf32>) -> tensor<5x2xf32>
        nn.yield %1, %x : tensor<5x2xf32>, tensor<5x4xf32>
      } else {
        %i = nn.constant dense<[1, 3]> : tensor<2xi64>
        %1 = nn.gather %y, %i {axis = 1 : i64} : (tensor<5x4xf32>, tensor<2xi64>) -> tensor<5x2xf32>
        %2 = nn.if %c {
          nn.yield %x : tensor<5x4xf32>
        } else {
          %3 = nn.tanh %y : (tensor<5x4xf32>) -> tensor<5x4xf32>
          nn.yield %3 : tensor<5x4xf32>
        } : (tensor<i1>) -> tensor<5x4xf32>
        nn.yield %1, %2 : tensor<5x2xf32>, tensor<5x4xf32>
      } : (tensor<i1>) -> (tensor<*xf32>, tensor<*xf32>)
      %4 = nn.neg %0#0 : (tensor<*xf32>) -> tensor<*xf32>
      return %4, %0#1 : tensor<*xf32>, tensor<*xf32>
    })mlir");
  for (bool condition : {true, false})
    expectSame({flag(condition), floats({5, 4})});
}

TEST_F(AotControlFlowTest, Loops) {
  for (const char *trips : {"0", "1", "4", "7"}) {
    std::string text = R"mlir(
      func.func @main(%x: tensor<3x5xf32>, %y: tensor<2xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xi64>) {
        %none = nn.none
        %n = nn.constant dense<TRIPS> : tensor<i64>
        %s = nn.constant dense<[0.5, 0.25]> : tensor<2xf32>
        %0:4 = nn.loop %n, %none, %x, %y {
        ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?x5xf32>, %w: tensor<?xf32>):
          %a = nn.tanh %v : (tensor<?x5xf32>) -> tensor<?x5xf32>
          %b = nn.add %a, %x : (tensor<?x5xf32>, tensor<3x5xf32>) -> tensor<?x5xf32>
          %d = nn.mul %w, %s : (tensor<?xf32>, tensor<2xf32>) -> tensor<?xf32>
          nn.yield %c, %b, %d, %w, %i : tensor<i1>, tensor<?x5xf32>, tensor<?xf32>, tensor<?xf32>, tensor<i64>
        } : (tensor<i64>, none, tensor<3x5xf32>, tensor<2xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xi64>)
        %1 = nn.neg %0#0 : (tensor<*xf32>) -> tensor<*xf32>
        return %1, %0#1, %0#2, %0#3 : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>, tensor<*xi64>
      })mlir";
    text.replace(text.find("TRIPS"), 5, trips);
    load(text);
    expectSame({floats({3, 5}), floats({2})});
  }
}

// How often it runs may depend on data, as long as nothing is as long as that.
TEST_F(AotControlFlowTest, LoopsThatDataEnds) {
  load(R"mlir(
    func.func @main(%n: tensor<i64>, %go: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.loop %n, %go, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<4xf32>):
        %w = nn.add %v, %v : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
        %a = nn.none
        %s = nn.reduce sum %w, %a {keepdims = false, noop_with_empty_axes = false} : (tensor<4xf32>, none) -> tensor<f32>
        %h = nn.constant dense<100.0> : tensor<f32>
        %b = nn.less %s, %h : (tensor<f32>, tensor<f32>) -> tensor<i1>
        nn.yield %b, %w : tensor<i1>, tensor<4xf32>
      } : (tensor<i64>, tensor<i1>, tensor<4xf32>) -> tensor<4xf32>
      return %0 : tensor<4xf32>
    })mlir");
  for (int64_t trips : {-3, 0, 1, 3, 50})
    for (bool go : {true, false})
      expectSame({number(trips), flag(go), floats({4}, 3)});
}

TEST_F(AotControlFlowTest, ScansInAllDirections) {
  for (const char *axis : {"0", "1", "-1"})
    for (const char *direction : {"0", "1"}) {
      std::string a(axis), d(direction);
      load(R"mlir(
        func.func @main(%s: tensor<3xf32>, %x: tensor<3x3xf32>, %z: tensor<2x3x4xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
          %0:3 = nn.scan %s, %x, %z {
          ^bb0(%a: tensor<3xf32>, %b: tensor<?xf32>, %q: tensor<?x4xf32>):
            %c = nn.add %a, %b : (tensor<3xf32>, tensor<?xf32>) -> tensor<3xf32>
            %e = nn.neg %c : (tensor<3xf32>) -> tensor<3xf32>
            %r = nn.relu %q : (tensor<?x4xf32>) -> tensor<?x4xf32>
            nn.yield %c, %e, %r : tensor<3xf32>, tensor<3xf32>, tensor<?x4xf32>
          } {input_axes = array<i64: )mlir" +
           a + ", 1>, input_directions = array<i64: " + d + ", 0>, output_axes = array<i64: " + a +
           ", -2>, output_directions = array<i64: " + d + R"mlir(, 1>}
            : (tensor<3xf32>, tensor<3x3xf32>, tensor<2x3x4xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
          return %0#0, %0#1, %0#2 : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
        })mlir");
      expectSame({floats({3}), floats({3, 3}), floats({2, 3, 4})});
    }
}

// How often it runs is in the sizes of a constant.
TEST_F(AotControlFlowTest, ScansOfConstants) {
  load(R"mlir(
    func.func @main(%s: tensor<2xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
      %x = nn.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
      %0:2 = nn.scan %s, %x {
      ^bb0(%a: tensor<2xf32>, %b: tensor<?xf32>):
        %c = nn.add %a, %b : (tensor<2xf32>, tensor<?xf32>) -> tensor<2xf32>
        nn.yield %c, %b : tensor<2xf32>, tensor<?xf32>
      } {input_axes = array<i64: 1>, input_directions = array<i64: 0>, output_axes = array<i64: 0>,
         output_directions = array<i64: 0>}
        : (tensor<2xf32>, tensor<2x3xf32>) -> (tensor<*xf32>, tensor<*xf32>)
      return %0#0, %0#1 : tensor<*xf32>, tensor<*xf32>
    })mlir");
  expectSame({floats({2})});
}

// Inner loops have memory of their own; steps that are divided may be in bodies.
TEST_F(AotControlFlowTest, BodiesNest) {
  load(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<300x300xf32>) -> tensor<300x300xf32> {
      %none = nn.none
      %two = nn.constant dense<2> : tensor<i64>
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<300x300xf32>):
        %m = nn.matmul %v, %x : (tensor<300x300xf32>, tensor<300x300xf32>) -> tensor<300x300xf32>
        %t = nn.tanh %m : (tensor<300x300xf32>) -> tensor<300x300xf32>
        %1 = nn.loop %two, %none, %t {
        ^bb1(%j: tensor<i64>, %d: tensor<i1>, %w: tensor<300x300xf32>):
          %b = nn.less %j, %i : (tensor<i64>, tensor<i64>) -> tensor<i1>
          %2 = nn.if %b {
            %3 = nn.add %w, %x : (tensor<300x300xf32>, tensor<300x300xf32>) -> tensor<300x300xf32>
            nn.yield %3 : tensor<300x300xf32>
          } else {
            nn.yield %w : tensor<300x300xf32>
          } : (tensor<i1>) -> tensor<300x300xf32>
          nn.yield %d, %2 : tensor<i1>, tensor<300x300xf32>
        } : (tensor<i64>, none, tensor<300x300xf32>) -> tensor<300x300xf32>
        nn.yield %c, %1 : tensor<i1>, tensor<300x300xf32>
      } : (tensor<i64>, none, tensor<300x300xf32>) -> tensor<300x300xf32>
      return %0 : tensor<300x300xf32>
    })mlir");
  for (int64_t trips : {0, 1, 3})
    expectSame({number(trips), floats({300, 300})});
}

TEST_F(AotControlFlowTest, ErrorsOfBodies) {
  load(R"mlir(
    func.func @main(%c: tensor<i1>, %i: tensor<i64>, %x: tensor<4xf32>) -> tensor<*xf32> {
      %none = nn.none
      %two = nn.constant dense<2> : tensor<i64>
      %0 = nn.if %c {
        %1 = nn.loop %two, %none {
        ^bb0(%j: tensor<i64>, %d: tensor<i1>):
          %2 = nn.gather %x, %i {axis = 0 : i64} : (tensor<4xf32>, tensor<i64>) -> tensor<f32>
          nn.yield %d, %2 : tensor<i1>, tensor<f32>
        } : (tensor<i64>, none) -> tensor<*xf32>
        nn.yield %1 : tensor<*xf32>
      } else {
        %f = nn.fail "cannot be done" : tensor<?xf32>
        %1 = nn.relu %f : (tensor<?xf32>) -> tensor<?xf32>
        nn.yield %1 : tensor<?xf32>
      } : (tensor<i1>) -> tensor<*xf32>
      return %0 : tensor<*xf32>
    })mlir");
  Tensor x = floats({4});
  expectSame({flag(true), number(3), x});
  EXPECT_EQ(both->status({flag(true), number(4), x}), QUERN_MODEL_INDEX_OUT_OF_RANGE);
  EXPECT_EQ(both->status({flag(false), number(0), x}), QUERN_MODEL_BROKEN_BRANCH);
}

// Nothing else could stop it: a run has no deadline.
TEST_F(AotControlFlowTest, EndlessLoopsEnd) {
  AotOptions options;
  options.maxIterations = 1000;
  load(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<2xf32>) -> tensor<2xf32> {
      %none = nn.none
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<2xf32>):
        %two = nn.constant dense<2> : tensor<i64>
        %1 = nn.loop %two, %none, %v {
        ^bb1(%j: tensor<i64>, %d: tensor<i1>, %u: tensor<2xf32>):
          %w = nn.neg %u : (tensor<2xf32>) -> tensor<2xf32>
          nn.yield %d, %w : tensor<i1>, tensor<2xf32>
        } : (tensor<i64>, none, tensor<2xf32>) -> tensor<2xf32>
        %w = nn.neg %1 : (tensor<2xf32>) -> tensor<2xf32>
        nn.yield %c, %w : tensor<i1>, tensor<2xf32>
      } : (tensor<i64>, none, tensor<2xf32>) -> tensor<2xf32>
      return %0 : tensor<2xf32>
    })mlir",
       options);
  // The inner loop's count as well: three for each of the outer one.
  expectSame({number(333), floats({2})});
  EXPECT_EQ(both->status({number(334), floats({2})}), QUERN_MODEL_TOO_MANY_ITERATIONS);
  EXPECT_EQ(both->status({number(INT64_MAX), floats({2})}), QUERN_MODEL_TOO_MANY_ITERATIONS);
  expectSame({number(2), floats({2})});
}

// All that cannot be code is named, in bodies too.
TEST_F(AotControlFlowTest, WhatIsRefused) {
  auto module = parseInferred(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<2x2xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
      %none = nn.none
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?x2xf32>):
        %w = nn.concat %v, %x {axis = 0 : i64} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
        nn.yield %c, %w : tensor<i1>, tensor<?x2xf32>
      } : (tensor<i64>, none, tensor<2x2xf32>) -> tensor<*xf32> loc("grows")
      %1 = nn.loop %n, %none {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>):
        nn.yield %c, %x : tensor<i1>, tensor<2x2xf32>
      } : (tensor<i64>, none) -> tensor<*xf32> loc("collects")
      %three = nn.constant dense<3> : tensor<i64>
      %2 = nn.loop %three, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<2x2xf32>):
        %d = nn.det %v : (tensor<2x2xf32>) -> tensor<f32> loc("determinant")
        %w = nn.add %v, %d : (tensor<2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
        nn.yield %c, %w : tensor<i1>, tensor<2x2xf32>
      } : (tensor<i64>, none, tensor<2x2xf32>) -> tensor<*xf32> loc("inner")
      return %0, %1, %2 : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
    })mlir");
  Status refused = compile(*module, "flow.so", "m");
  EXPECT_EQ(refused.code(), StatusCode::Unsupported);
  for (const char *part : {"node 'grows' (loop): it takes or gives values of sizes that only",
                           "node 'collects' (loop): it takes", "node 'determinant' (nn.det): "})
    EXPECT_THAT(refused.message(), HasSubstr(part));
  EXPECT_THAT(refused.message(), testing::Not(HasSubstr("'inner'")));
}
