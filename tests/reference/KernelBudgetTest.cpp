//===- KernelBudgetTest.cpp - kernels keep to time, work and memory -------===//
#include "tests/reference/KernelCall.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

using namespace quern;
using namespace quern::reference;
using Ints = std::vector<int64_t>;

namespace {
/// One application of a kernel to a million elements or more.
struct LongCall {
  std::string opName;
  std::vector<Tensor> inputs;
  Attributes attributes = {};
  std::vector<DType> resultTypes = {DType::Float32};

  Expected<std::vector<Tensor>> evaluate(Budget &budget) const {
    return findEvaluator(opName)({opName, attributes, inputs, resultTypes, budget});
  }
};

Tensor ones(Tensor::Dims dims) {
  Tensor tensor = Tensor::allocate(DType::Float32, std::move(dims)).take();
  std::fill_n(tensor.mutableData<float>(), tensor.numElements(), 1.0f);
  return tensor;
}

Attributes windowAttributes() {
  return makeAttributes({{"kernel", Ints{3, 3}},
                         {"strides", Ints{1, 1}},
                         {"dilations", Ints{1, 1}},
                         {"pads", Ints{0, 0, 0, 0}},
                         {"output_padding", Ints{0, 0}},
                         {"output_shape", Ints{}},
                         {"group", int64_t{1}}});
}

Attributes resizeAttributes(const char *mode) {
  return makeAttributes(
      {{"mode", numberOf<ResizeMode>(mode)},
       {"coordinate_transformation_mode", numberOf<ResizeCoordinates>("half_pixel")},
       {"nearest_mode", numberOf<NearestMode>("floor")}});
}

/// A stump that is asked a hundred times for each of 1024 rows.
LongCall treeCall(const Tensor &rows) {
  auto zeros = [](Tensor::Dims dims) { return Tensor::allocate(DType::Int32, dims).take(); };
  Tensor node = Tensor::of<int32_t>({1, 3}, {0, -1, -1}), one = ones({1});
  return {"nn.tree_ensemble",
          {rows, node, Tensor::of<uint8_t>({1}, {1}), one, zeros({100}),
           Tensor::of<int32_t>({2}, {0, 1}), zeros({1}), one},
          makeAttributes({{"kind", numberOf<ReduceKind>("sum")}, {"target_count", int64_t{1}}})};
}

Attributes gramAttributes() {
  return makeAttributes({{"mode", std::string("TF")},
                         {"min_gram_length", int64_t{1}},
                         {"max_gram_length", int64_t{1}},
                         {"max_skip_count", int64_t{0}},
                         {"ngram_counts", Ints{0}},
                         {"ngram_indexes", Ints{0}}});
}

/// A gray map of a million pixels.
Tensor imageFile() {
  std::string header = "P5 1024 1024 255\n";
  Tensor file =
      Tensor::allocate(DType::UInt8, {static_cast<int64_t>(header.size()) + (1 << 20)}).take();
  std::copy(header.begin(), header.end(), file.mutableData<uint8_t>());
  return file;
}

Attributes rnnAttributes() {
  return makeAttributes({{"activations", Ints{0}},
                         {"alpha", std::vector<double>{0}},
                         {"beta", std::vector<double>{0}},
                         {"cell", int64_t{0}}});
}

Attributes attentionAttributes() {
  Ints inOrder = {0, 1, 2, 3};
  return makeAttributes({{"query_perm", inOrder},
                         {"key_perm", inOrder},
                         {"value_perm", inOrder},
                         {"result_perm", inOrder}});
}

/// Every kernel whose work grows with its operands or results.
std::vector<LongCall> longCalls() {
  Tensor matrix = ones({1024, 1024}), image = ones({1, 4, 512, 512}), none;
  Tensor channels = ones({4}), indices = Tensor::allocate(DType::Int64, {1024}).take();
  Tensor places = Tensor::allocate(DType::Int64, {1024, 1024}).take();
  Tensor rows = Tensor::allocate(DType::Int64, {1024, 1}).take();
  Attributes axis = makeAttributes({{"axis", int64_t{0}}}), window = windowAttributes();
  Tensor square = Tensor::ofInts({1024, 1024}), sizes = Tensor::ofInts({1500, 1500});
  auto scalar = [](float value) { return Tensor::of<float>({}, {value}); };
  auto reduce = makeAttributes({{"kind", numberOf<ReduceKind>("sum")}});
  auto lrn = makeAttributes({{"alpha", 1.0},
                             {"beta", 1.0},
                             {"bias", 1.0},
                             {"size", int64_t{3}},
                             {"input_block", int64_t{0}}});
  auto perm = makeAttributes({{"perm", Ints{1, 0}}});
  auto block = makeAttributes({{"output_block", int64_t{4}}, {"channels", int64_t{1024}}});
  auto edge = makeAttributes({{"mode", numberOf<PadMode>("edge")}});
  Tensor bytes = Tensor::allocate(DType::UInt8, {1024, 1024}).take(), one = ones({});
  Tensor filters = Tensor::allocate(DType::UInt8, {4, 4, 3, 3}).take();
  auto toFloat = makeAttributes({{"to", DType::Float32}});
  auto quantizing = makeAttributes({{"to", DType::UInt8}, {"precision", DType::Float32}});
  auto toInt = makeAttributes({{"to", DType::Int32}});
  Tensor words = Tensor::allocate(DType::String, {1 << 16}).take();
  auto upper = makeAttributes({{"case_action", std::string("UPPER")}});
  auto split = makeAttributes({{"delimiter", std::string(",")}, {"maxsplit", int64_t{-1}}});
  Tensor boxes = ones({1024, 4});
  auto bins = makeAttributes({{"kind", numberOf<ReduceKind>("mean")},
                              {"height", int64_t{16}},
                              {"width", int64_t{16}},
                              {"sampling_ratio", int64_t{2}}});
  auto layerNorm =
      makeAttributes({{"axis", int64_t{1}}, {"center", int64_t{1}}, {"epsilon", 1e-5}});
  std::vector<DType> two = {DType::Float32, DType::Float32};
  return {
      {"nn.matmul", {matrix, matrix}},
      {"nn.matmul_integer", {bytes, bytes, none, none}, {}, {DType::Int32}},
      {"nn.conv_integer",
       {bytes.reshaped({1, 4, 512, 512}), filters, none, none, none},
       windowAttributes(),
       {DType::Int32}},
      {"nn.quantize", {matrix, one, none}, quantizing, {DType::UInt8}},
      {"nn.dequantize", {bytes, one, none}, toFloat},
      {"nn.byte_lookup", {bytes, Tensor::allocate(DType::UInt8, {256}).take()}, {}, {DType::UInt8}},
      {"nn.gemm", {matrix, matrix, none}},
      {"nn.conv", {image, ones({4, 4, 3, 3}), none}, window},
      {"nn.conv_transpose", {image, ones({4, 4, 3, 3}), none}, window},
      {"nn.max_pool", {image}, window},
      {"nn.max_pool_with_indices", {image}, window, {DType::Float32, DType::Int64}},
      {"nn.average_pool", {image}, window},
      {"nn.global_pool", {image}},
      {"nn.reduce", {matrix, Tensor::ofInts({0})}, reduce},
      {"nn.softmax", {matrix}},
      {"nn.arg_reduce", {matrix}, axis, {DType::Int64}},
      {"nn.batch_norm", {image, channels, channels, channels, channels}},
      {"nn.instance_norm", {image, channels, channels}},
      {"nn.layer_norm", {matrix, none, none}, layerNorm},
      {"nn.lrn", {image}, lrn},
      {"nn.bitcast", {matrix}, toInt, {DType::Int32}},
      {"nn.cast", {matrix}, toInt, {DType::Int32}},
      {"nn.concat", {matrix, matrix}, axis},
      {"nn.split", {matrix, none}, axis, two},
      {"nn.slice", {matrix, Tensor::ofInts({0}), Tensor::ofInts({1000}), none, none}},
      {"nn.gather", {matrix, indices}, axis},
      {"nn.transpose", {matrix}, perm},
      {"nn.expand", {ones({1024, 1}), square}},
      {"nn.tile", {matrix, Tensor::ofInts({1, 2})}},
      {"nn.pad", {matrix, Tensor::ofInts({1, 1, 1, 1}), none}, edge},
      {"nn.resize", {matrix, none, none, sizes}, resizeAttributes("nearest")},
      {"nn.resize", {matrix, none, none, sizes}, resizeAttributes("linear")},
      {"nn.nonzero", {matrix}},
      {"nn.gather_elements", {matrix, places}, axis},
      {"nn.gather_nd", {matrix, rows}},
      {"nn.scatter_elements", {matrix, places, matrix}, axis},
      {"nn.scatter_nd", {matrix, rows, matrix}},
      {"nn.cumulate", {matrix, Tensor::ofInts({0})}},
      {"nn.topk", {matrix, Tensor::ofInts({8})}, axis, {DType::Float32, DType::Int64}},
      {"nn.lookup", {matrix, channels, channels, scalar(0)}},
      {"nn.couple_pairs", {ones({65536, 4, 4})}},
      treeCall(matrix),
      {"nn.dft", {ones({4, 500000, 1}), Tensor::ofInts({1})}},
      {"nn.random", {square}, makeAttributes({{"dtype", DType::Float32}})},
      {"nn.recurrent",
       {ones({64, 16, 128}), ones({1, 128, 128}), none, none, none, none, none},
       rnnAttributes(),
       two},
      {"nn.attention",
       {ones({1, 2, 256, 64}), ones({1, 2, 256, 64}), ones({1, 2, 256, 64}), none, none, none,
        none},
       attentionAttributes()},
      {"nn.range", {scalar(0), scalar(1e6f), scalar(1)}},
      {"nn.image_decode",
       {imageFile()},
       makeAttributes({{"pixel_format", std::string("RGB")}}),
       {DType::UInt8}},
      {"nn.non_max_suppression",
       {ones({64, 1024, 4}), ones({64, 1, 1024}), Tensor::ofInts({4}), none, none},
       {},
       {DType::Int64}},
      {"nn.soft_suppression",
       {ones({100000, 4}), ones({100000}), Tensor::ofInts({4}), scalar(1), scalar(0), scalar(1)},
       {},
       {DType::Int64, DType::Float32, DType::Int64}},
      {"nn.unique", {matrix}, {}, {DType::Float32, DType::Int64, DType::Int64, DType::Int64}},
      {"nn.string_concat", {words, words}, {}, {DType::String}},
      {"nn.string_normalize", {words, none}, upper, {DType::String}},
      {"nn.string_split", {words}, split, {DType::String, DType::Int64}},
      {"nn.regex_match", {words}, makeAttributes({{"pattern", std::string("a+")}}), {DType::Bool}},
      {"nn.tf_idf", {places, Tensor::ofInts({1})}, gramAttributes()},
      {"nn.grid_sample", {image, ones({1, 512, 512, 2})}, resizeAttributes("linear")},
      {"nn.roi_pool", {image, boxes, Tensor::allocate(DType::Int64, {1024}).take()}, bins},
      {"nn.col2im", {ones({1, 36, 510 * 510}), Tensor::ofInts({512, 512}), Tensor::ofInts({3, 3})}},
      {"nn.det", {ones({64, 128, 128})}},
      {"nn.block_matmul",
       {matrix, Tensor::allocate(DType::Int8, {1024, 1024}).take(), ones({1024, 64}), none},
       makeAttributes({{"block_size", int64_t{16}}})},
      {"nn.pack", {matrix}, block},
      {"nn.unpack", {ones({1024, 256, 4})}, block},
      {"nn.gather_channels",
       {ones({16, 1, 65536, 4})},
       makeAttributes({{"output_block", int64_t{4}}, {"lanes", std::vector<int64_t>{3, 2, 1, 0}}})},
  };
}
} // namespace

TEST(KernelBudget, EveryKernelStopsInTheMiddle) {
  std::atomic<bool> cancelled = true;
  std::set<std::string> covered = {"nn.reshape", "nn.flatten", "nn.squeeze", "nn.shape",
                                   "nn.unsqueeze"}; // no work
  for (const LongCall &call : longCalls()) {
    covered.insert(call.opName);
    Budget budget(Limits(), &cancelled);
    auto results = call.evaluate(budget);
    EXPECT_EQ(results.status().code(), StatusCode::Cancelled)
        << call.opName << ": " << results.status().message();
    Budget unlimited{Limits()};
    if (call.opName != "nn.matmul" && call.opName != "nn.gemm") {
      auto complete = call.evaluate(unlimited);
      EXPECT_TRUE(complete) << call.opName << ": " << complete.status().message();
    }
  }
  for (std::span<const EvaluatorRow> family : evaluatorFamilies())
    for (const EvaluatorRow &row : family)
      EXPECT_TRUE(covered.count(std::string(row.opName))) << row.opName;
}

TEST(KernelBudget, ElementwiseStopsInTheMiddle) {
  std::atomic<bool> cancelled = true;
  Budget budget(Limits(), &cancelled);
  ScalarFunctions functions{
      .onFloat = [](const Scalar *args, const double *) { return Scalar{.f = args[0].f}; }};
  DType type = DType::Float32;
  Attributes attributes;
  std::vector<Tensor> inputs = {ones({1024, 1024})};
  OpCall call{"nn.test", attributes, inputs, {&type, 1}, budget};
  EXPECT_EQ(evaluateElementwise(call, functions, {}).status().code(), StatusCode::Cancelled);
}

TEST(KernelBudget, WorkThatDoesNotFitIsNotBegun) {
  // Each of these would take minutes to years.
  Tensor matrix = ones({3000, 3000}), image = ones({1, 8, 512, 512}), none;
  Attributes wide = windowAttributes();
  wide.set("kernel", Ints{400, 400});
  Attributes lrn = makeAttributes({{"alpha", 1.0},
                                   {"beta", 1.0},
                                   {"bias", 1.0},
                                   {"size", int64_t{1'000'000}},
                                   {"input_block", int64_t{0}}});
  std::vector<LongCall> calls = {
      {"nn.matmul", {matrix, matrix}},
      {"nn.gemm", {matrix, matrix, none}},
      {"nn.conv", {image, ones({8, 8, 200, 200}), none}, windowAttributes()},
      {"nn.conv_transpose", {image, ones({8, 8, 50, 50}), none}, windowAttributes()},
      {"nn.max_pool", {image}, wide},
      {"nn.average_pool", {image}, wide},
      {"nn.lrn", {ones({1, 20000, 4})}, lrn},
      {"nn.softmax", {matrix}},
      {"nn.recurrent",
       {ones({64, 64, 512}), ones({1, 512, 512}), none, none, none, none, none},
       rnnAttributes(),
       {DType::Float32, DType::Float32}},
      {"nn.reduce", {matrix, none}, makeAttributes({{"kind", numberOf<ReduceKind>("sum")}})},
  };
  for (const LongCall &call : calls) {
    constexpr int64_t kWork = 50'000'000;
    Budget budget(Limits(), nullptr, "testing", kWork);
    auto results = call.evaluate(budget);
    EXPECT_EQ(results.status().message(), "the work exceeds the limit of 50000000") << call.opName;
    // What others may spend is left.
    EXPECT_TRUE(budget.require(CheckedSize(kWork / 2)).isOk()) << call.opName;
  }
}

TEST(KernelBudget, TimeEndsALongProduct) {
  // An hour of work; the test's own limit is far below.
  Tensor matrix = ones({12000, 12000});
  LongCall call{"nn.matmul", {matrix, matrix}};
  Limits limits;
  limits.deadline = Deadline::after(std::chrono::milliseconds(20));
  Budget budget(limits);
  auto results = call.evaluate(budget);
  EXPECT_EQ(results.status().code(), StatusCode::ResourceLimit);
  EXPECT_EQ(results.status().message(), "time limit of 20ms exceeded while running");
}

TEST(KernelBudget, ScratchMemoryCounts) {
  Tensor none, channels = ones({1000});
  Tensor bytes = Tensor::allocate(DType::UInt8, {1000}).take();
  Attributes sum = makeAttributes({{"kind", numberOf<ReduceKind>("sum")}});
  Attributes narrow = windowAttributes();
  std::vector<LongCall> calls = {
      // One byte of result, 8000 of sums.
      {"nn.reduce", {bytes, none}, sum, {DType::UInt8}},
      {"nn.softmax", {ones({1, 501})}},
      {"nn.conv", {ones({1, 20, 3, 3}), ones({1, 20, 3, 3}), none}, windowAttributes()},
      {"nn.conv_transpose", {ones({1, 1, 25, 25}), ones({1, 1, 3, 3}), none}, windowAttributes()},
      {"nn.batch_norm", {ones({1, 1000}), channels, channels, channels, channels}},
      {"nn.resize",
       {ones({200, 1}), none, none, Tensor::ofInts({300, 1})},
       resizeAttributes("linear")},
      {"nn.matmul", {ones({1, 2}), ones({2, 1})}},
  };
  for (const LongCall &call : calls) {
    Limits limits;
    limits.maxActivationBytes = 6000;
    Budget budget(limits);
    auto results = call.evaluate(budget);
    EXPECT_EQ(results.status().code(), StatusCode::ResourceLimit) << call.opName;
    EXPECT_TRUE(results.status().message().starts_with("activations need "))
        << call.opName << ": " << results.status().message();
    Budget ample{Limits()};
    EXPECT_TRUE(call.evaluate(ample)) << call.opName;
  }
}

TEST(KernelBudget, ListsOfSizesAreBounded) {
  Tensor shape = Tensor::allocate(DType::Int64, {65537}).take();
  EXPECT_EQ(evaluateError("nn.reshape", {ones({1}), shape}).message(),
            "shape has 65537 entries, the limit is 65536");
}

TEST(KernelBudget, NoResultNeedsNoScratch) {
  Tensor empty = Tensor::allocate(DType::Float32, {0, int64_t{1} << 50}).take();
  Attributes attributes =
      makeAttributes({{"kind", numberOf<ReduceKind>("sum")}, {"keepdims", int64_t{0}}});
  Tensor sums = evaluate("nn.reduce", {empty, Tensor::ofInts({1})}, attributes);
  EXPECT_EQ(sums.dims(), (Tensor::Dims{0}));
}
