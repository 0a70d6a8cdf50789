//===- LoopTest.cpp - loops and scans as compiled plans -------------------===//
#include "tests/native/BodyGraph.h"

using namespace quern;
using namespace quern::native;

namespace {
/// A loop on %n, %c, %x and a scan on %x with these bodies; what they give is negated.
struct LoopText {
  std::string trips = "%n", condition = "%none", body, yielded;
};
} // namespace

static BodyGraph loop(const LoopText &text) {
  return BodyGraph(R"mlir(
    func.func @main(%c: tensor<i1>, %x: tensor<?x4xf32>, %n: tensor<i64>) -> (tensor<*xf32>, tensor<*xf32>) {
      %none = nn.none
      %yes = nn.constant dense<true> : tensor<i1>
      %three = nn.constant dense<3> : tensor<i64>
      %shape = nn.shape %x {start = 0 : i64} : (tensor<?x4xf32>) -> tensor<2xi64>
      %zero = nn.constant dense<0> : tensor<i64>
      %rows = nn.gather %shape, %zero {axis = 0 : i64} : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
      %0:2 = nn.loop )mlir" +
                   text.trips + ", " + text.condition + R"mlir(, %x {
      ^bb0(%i: tensor<i64>, %d: tensor<i1>, %v: tensor<?x4xf32>):)mlir" +
                   text.body + "\n nn.yield " + text.yielded +
                   R"mlir( : tensor<i1>, tensor<?x4xf32>, tensor<*xf32>
      } : (tensor<i64>, )mlir" +
                   (text.condition == "%none" ? "none" : "tensor<i1>") +
                   R"mlir(, tensor<?x4xf32>) -> (tensor<*xf32>, tensor<*xf32>)
      %1 = nn.neg %0#0 : (tensor<*xf32>) -> tensor<*xf32>
      %2 = nn.neg %0#1 : (tensor<*xf32>) -> tensor<*xf32>
      return %1, %2 : tensor<*xf32>, tensor<*xf32>
    })mlir");
}

TEST(NativeLoop, LoopsOfKnownLengthNeedNoStage) {
  std::string add = "%w = nn.add %v, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>\n"
                    "%s = nn.relu %w : (tensor<?x4xf32>) -> tensor<*xf32>";
  std::string grow = "%w = nn.concat %v, %x {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>) "
                     "-> tensor<?x4xf32>\n"
                     "%s = nn.relu %x : (tensor<?x4xf32>) -> tensor<*xf32>";
  std::string stop = add + "\n%k = nn.constant dense<1> : tensor<i64>\n"
                           "%e = nn.less %i, %k : (tensor<i64>, tensor<i64>) -> tensor<i1>";
  expectStages(loop({.trips = "%three", .body = add, .yielded = "%d, %w, %s"}), 0, "constant");
  expectStages(loop({.trips = "%rows", .body = add, .yielded = "%yes, %w, %s"}), 0, "by a shape");
  expectStages(loop({.trips = "%zero", .body = add, .yielded = "%d, %w, %s"}), 0, "none");
  expectStages(loop({.trips = "%three", .condition = "%yes", .body = add, .yielded = "%d, %w, %s"}),
               0, "a condition");
  expectStages(loop({.body = add, .yielded = "%d, %w, %s"}), 1, "by data");
  expectStages(loop({.trips = "%three", .condition = "%c", .body = add, .yielded = "%d, %w, %s"}),
               1, "perhaps none");
  expectStages(loop({.trips = "%three", .body = stop, .yielded = "%e, %w, %s"}), 1, "ends early");
  expectStages(loop({.trips = "%three", .body = grow, .yielded = "%d, %w, %s"}), 1, "grows");
}

// Carried values that change places are as large as before only if both are.
TEST(NativeLoop, CarriedValuesThatChangePlaces) {
  BodyGraph model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<?xf32>, %y: tensor<?xf32>, %z: tensor<?xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>) {
      %none = nn.none
      %0:3 = nn.loop %n, %none, %x, %y, %z {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %a: tensor<?xf32>, %b: tensor<?xf32>, %d: tensor<?xf32>):
        nn.yield %c, %b, %a, %d : tensor<i1>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
      } : (tensor<i64>, none, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) -> (tensor<*xf32>, tensor<*xf32>, tensor<*xf32>)
      %1 = nn.neg %0#0 : (tensor<*xf32>) -> tensor<*xf32>
      %2 = nn.neg %0#1 : (tensor<*xf32>) -> tensor<*xf32>
      %3 = nn.neg %0#2 : (tensor<*xf32>) -> tensor<*xf32>
      return %1, %2, %3 : tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
    })mlir");
  for (int64_t trips : {0, 1, 2}) {
    GraphRun equal = model.expectExact({number(trips), floats({3}), floats({3}, 2), floats({5})});
    EXPECT_EQ(stagesOf(equal), 0);
    GraphRun other = model.expectExact({number(trips), floats({3}), floats({4}, 2), floats({5})});
    EXPECT_EQ(stagesOf(other), 1);
  }
}

TEST(NativeLoop, CarriedValuesMayGrow) {
  BodyGraph model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<?x3xf32>, %y: tensor<2xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
      %none = nn.none
      %0:2 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?x3xf32>):
        %w = nn.concat %v, %x {axis = 0 : i64} : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
        %z = nn.neg %y : (tensor<2xf32>) -> tensor<2xf32>
        nn.yield %c, %w, %z : tensor<i1>, tensor<?x3xf32>, tensor<2xf32>
      } : (tensor<i64>, none, tensor<?x3xf32>) -> (tensor<*xf32>, tensor<*xf32>)
      %r = nn.relu %0#0 : (tensor<*xf32>) -> tensor<*xf32>
      return %r, %0#1 : tensor<*xf32>, tensor<*xf32>
    })mlir");
  for (int64_t trips : {0, 1, 5, 2})
    model.expectExact({number(trips), floats({2, 3}), floats({2})});
}

TEST(NativeLoop, ALoopRunsWhileItsConditionHolds) {
  // Doubles v until its sum is 100 or more.
  BodyGraph model(R"mlir(
    func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<*xi64>) {
      %none = nn.none
      %t = nn.constant dense<true> : tensor<i1>
      %0:2 = nn.loop %none, %t, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<4xf32>):
        %w = nn.add %v, %v : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
        %a = nn.none
        %s = nn.reduce sum %w, %a {keepdims = false, noop_with_empty_axes = false} : (tensor<4xf32>, none) -> tensor<f32>
        %h = nn.constant dense<100.0> : tensor<f32>
        %b = nn.less %s, %h : (tensor<f32>, tensor<f32>) -> tensor<i1>
        nn.yield %b, %w, %i : tensor<i1>, tensor<4xf32>, tensor<i64>
      } : (none, tensor<i1>, tensor<4xf32>) -> (tensor<4xf32>, tensor<*xi64>)
      return %0#0, %0#1 : tensor<4xf32>, tensor<*xi64>
    })mlir");
  GraphRun run = model.expectExact({Tensor::of<float>({4}, {1, 2, 0, 1})});
  ASSERT_EQ(run.results.size(), 2u);
  EXPECT_EQ(run.results[1].dims(), (Tensor::Dims{5}));
  for (const ProfileRow &row : rowsOf(run, /*nested=*/true)) {
    EXPECT_FALSE(row.reference) << row.nodes;
    EXPECT_EQ(row.runs, 5) << row.nodes;
  }
}

TEST(NativeLoop, ScansInAllDirections) {
  for (const char *axes : {"0|0", "1|1", "-1|-1", "-2|1"})
    for (int direction : {0, 1}) {
      std::string in(axes), out = in.substr(in.find('|') + 1);
      in.resize(in.find('|'));
      std::string d = std::to_string(direction);
      BodyGraph model(R"mlir(
        func.func @main(%s: tensor<?xf32>, %x: tensor<?x?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>) {
          %0:2 = nn.scan %s, %x {
          ^bb0(%a: tensor<?xf32>, %b: tensor<?xf32>):
            %c = nn.add %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
            %e = nn.neg %c : (tensor<?xf32>) -> tensor<?xf32>
            nn.yield %c, %e : tensor<?xf32>, tensor<?xf32>
          } {input_axes = array<i64: )mlir" +
                      in + ">, input_directions = array<i64: " + d +
                      ">, output_axes = array<i64: " + out +
                      ">, output_directions = array<i64: " + d + R"mlir(>}
            : (tensor<?xf32>, tensor<?x?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>)
          return %0#0, %0#1 : tensor<?xf32>, tensor<?x?xf32>
        })mlir");
      bool alongFirst = in == "0" || in == "-2";
      for (int64_t slices : {4, 1, 9})
        model.expectExact({floats({3}), alongFirst ? floats({slices, 3}) : floats({3, slices})});
    }
}

TEST(NativeLoop, BodiesNest) {
  // Inner loops run as often as the outer number says; the branch is in them.
  BodyGraph model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<?xf32>) -> tensor<?xf32> {
      %none = nn.none
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %v: tensor<?xf32>):
        %1 = nn.loop %i, %none, %v {
        ^bb1(%j: tensor<i64>, %d: tensor<i1>, %w: tensor<?xf32>):
          %b = nn.less %j, %n : (tensor<i64>, tensor<i64>) -> tensor<i1>
          %2 = nn.if %b {
            %3 = nn.add %w, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
            nn.yield %3 : tensor<?xf32>
          } else {
            nn.yield %w : tensor<?xf32>
          } : (tensor<i1>) -> tensor<?xf32>
          nn.yield %d, %2 : tensor<i1>, tensor<?xf32>
        } : (tensor<i64>, none, tensor<?xf32>) -> tensor<?xf32>
        nn.yield %c, %1 : tensor<i1>, tensor<?xf32>
      } : (tensor<i64>, none, tensor<?xf32>) -> tensor<?xf32>
      return %0 : tensor<?xf32>
    })mlir");
  for (int64_t trips : {0, 1, 2, 4})
    model.expectExact({number(trips), floats({5})});
}

TEST(NativeLoop, BodiesOfUnknownRankTellTheirInputsApart) {
  // All arguments of the body have the name of the loop.
  BodyGraph model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<*xf32>, %y: tensor<?xf32>) -> tensor<*xf32> {
      %none = nn.none
      %0 = nn.loop %n, %none, %x {
      ^bb0(%i: tensor<i64> loc("loop"), %c: tensor<i1> loc("loop"), %v: tensor<*xf32> loc("loop")):
        %1 = nn.add %v, %y : (tensor<*xf32>, tensor<?xf32>) -> tensor<*xf32>
        nn.yield %c, %1 : tensor<i1>, tensor<*xf32>
      } : (tensor<i64>, none, tensor<*xf32>) -> tensor<*xf32> loc("loop")
      return %0 : tensor<*xf32>
    })mlir");
  model.expectExact({number(2), floats({5}), floats({5}, 2)});
  model.expectExact({number(3), floats({2, 4}), floats({4}, 2)});
}

TEST(NativeLoop, FaultsNameTheWay) {
  BodyGraph model(R"mlir(
    func.func @main(%n: tensor<i64>, %x: tensor<3xf32>) -> tensor<?xf32> {
      %none = nn.none
      %0 = nn.loop %n, %none {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>):
        %1 = nn.gather %x, %i {axis = 0 : i64} : (tensor<3xf32>, tensor<i64>) -> tensor<f32> loc("pick")
        nn.yield %c, %1 : tensor<i1>, tensor<f32>
      } : (tensor<i64>, none) -> tensor<?xf32> loc("walk")
      return %0 : tensor<?xf32>
    })mlir");
  model.expectExact({number(3), floats({3})});
  auto late = model.run({number(4), floats({3})});
  EXPECT_EQ(late.status().code(), StatusCode::InvalidInput);
  EXPECT_EQ(late.status().message().find("node 'walk' (loop): iteration 3: node 'pick' ("), 0u)
      << late.status().message();
}

// All values of v, in a sequence: what an iteration adds is all that it copies.
TEST(NativeLoop, SequencesInLoopsGrowInPlace) {
  BodyGraph model(R"(
    func.func @main(%n: tensor<i64> {nn.name = "n"}, %x: tensor<2xf32> {nn.name = "x"})
        -> (tensor<i64>, tensor<?x2xf32>) {
      %none = nn.none
      %e = nn.sequence : () -> !nn.sequence<tensor<2xf32>>
      %v, %s = nn.loop %n, %none, %x, %e {
      ^bb0(%i: tensor<i64>, %c: tensor<i1>, %a: tensor<2xf32>, %q: !nn.sequence<tensor<2xf32>>):
        %b = nn.add %a, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
        %t = nn.sequence_splice %q, %none, %a {removed = 0 : i64}
            : (!nn.sequence<tensor<2xf32>>, none, tensor<2xf32>) -> !nn.sequence<tensor<2xf32>>
        nn.yield %c, %b, %t : tensor<i1>, tensor<2xf32>, !nn.sequence<tensor<2xf32>>
      } : (tensor<i64>, none, tensor<2xf32>, !nn.sequence<tensor<2xf32>>)
          -> (tensor<2xf32>, !nn.sequence<tensor<2xf32>>)
      %l = nn.sequence_length %s : (!nn.sequence<tensor<2xf32>>) -> tensor<i64>
      %y = nn.sequence_concat %s {axis = 0 : i64, new_axis = true}
          : (!nn.sequence<tensor<2xf32>>) -> tensor<?x2xf32>
      return %l, %y : tensor<i64>, tensor<?x2xf32>
    })");
  model.expectExact({number(5), floats({2})});
  // Several units for each value: a copy of all of them in each iteration takes fifty times
  // the work.
  constexpr int64_t kTrips = 2000;
  Budget budget(Limits(), nullptr, "running", kTrips * 200);
  std::vector<Tensor> outputs(2);
  Status status = model.runWithin(budget, {number(kTrips), floats({2})}, outputs);
  ASSERT_TRUE(status.isOk()) << status.message();
  EXPECT_EQ(outputs[0].data<int64_t>()[0], kTrips);
}
