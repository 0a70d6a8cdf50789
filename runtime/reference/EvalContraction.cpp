//===- EvalContraction.cpp - reference kernels of matrix products ---------===//
#include "runtime/reference/DTypeDispatch.h"
#include "runtime/reference/Evaluator.h"
#include "runtime/reference/Factors.h"
#include "runtime/reference/Indexing.h"
#include "runtime/values/CeilDiv.h"

#include <algorithm>
#include <fmt/format.h>

using namespace quern;
using namespace quern::reference;

namespace {

/// A matrix inside a tensor.
template <typename T> struct MatrixView {
  const T *data;
  int64_t rowStride;
  int64_t columnStride;

  Wide<T> at(int64_t row, int64_t column) const {
    return widen(data[row * rowStride + column * columnStride]);
  }
};

/// The sizes of C[rows, columns] = A[rows, depth] * B[depth, columns].
struct ProductSizes {
  int64_t rows;
  int64_t columns;
  int64_t depth;
};

/// Edges of the blocks a product is computed in. Blocks hold wide values, so
/// that conversions stay out of the innermost loop; two of them fit into L2.
constexpr int64_t kBlockRows = 64;
constexpr int64_t kBlockColumns = 256;
constexpr int64_t kBlockDepth = 64;
/// Rows of a block of B lie a little apart, so that its columns, along which a
/// transposed B is read, do not fall into the same few cache sets.
constexpr int64_t kBlockStride = kBlockColumns + 8;

/// The blocks that a product works on.
template <typename T> struct ProductBlocks {
  /// [kBlockRows, kBlockColumns] sums.
  std::span<Wide<T>> sums;
  /// [kBlockDepth, kBlockStride] elements of B.
  std::span<Wide<T>> b;

  static Expected<ProductBlocks> allocate(Budget &budget) {
    ProductBlocks blocks;
    QUERN_ASSIGN(blocks.sums, budget.scratch<Wide<T>>(kBlockRows * kBlockColumns));
    QUERN_ASSIGN(blocks.b, budget.scratch<Wide<T>>(kBlockDepth * kBlockStride));
    return blocks;
  }
};

/// The part of B that multiplies one block of A, in wide values.
template <typename T>
void widenBlock(MatrixView<T> b, int64_t k0, int64_t depth, int64_t j0, int64_t columns,
                std::span<Wide<T>> block) {
  // Walk B along its rows in memory, whichever of its dimensions they are.
  if (b.columnStride == 1) {
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t j = 0; j < columns; ++j)
        block[k * kBlockStride + j] = b.at(k0 + k, j0 + j);
  } else {
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t k = 0; k < depth; ++k)
        block[k * kBlockStride + j] = b.at(k0 + k, j0 + j);
  }
}

/// Calls store(i, j, sum) with every element of A * B. A sum runs over the depth
/// in order, whatever the blocks.
template <typename T, typename Store>
Status multiply(MatrixView<T> a, MatrixView<T> b, ProductSizes sizes, ProductBlocks<T> blocks,
                Budget &budget, Store store) {
  using W = Wide<T>;
  auto [sums, block] = blocks;
  for (int64_t i0 = 0; i0 < sizes.rows; i0 += kBlockRows) {
    int64_t rows = std::min(kBlockRows, sizes.rows - i0);
    for (int64_t j0 = 0; j0 < sizes.columns; j0 += kBlockColumns) {
      int64_t columns = std::min(kBlockColumns, sizes.columns - j0);
      QUERN_TRY(budget.spend(rows * columns));
      for (int64_t i = 0; i < rows; ++i)
        std::fill_n(&sums[i * kBlockColumns], columns, W(0));
      for (int64_t k0 = 0; k0 < sizes.depth; k0 += kBlockDepth) {
        int64_t depth = std::min(kBlockDepth, sizes.depth - k0);
        QUERN_TRY(budget.spend((rows + 1) * columns * depth));
        widenBlock(b, k0, depth, j0, columns, block);
        for (int64_t i = 0; i < rows; ++i) {
          W *sum = &sums[i * kBlockColumns];
          for (int64_t k = 0; k < depth; ++k) {
            W factor = a.at(i0 + i, k0 + k);
            const W *row = &block[k * kBlockStride];
            for (int64_t j = 0; j < columns; ++j)
              sum[j] += factor * row[j];
          }
        }
      }
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j)
          store(i0 + i, j0 + j, sums[i * kBlockColumns + j]);
    }
  }
  return Status::ok();
}

/// The shapes of a NumPy matmul: a vector acts as a matrix of one row (a) or
/// one column (b), and that dimension is dropped from the result.
struct MatMulShapes {
  ProductSizes sizes;
  std::vector<int64_t> aBatch, bBatch, batch;
  std::vector<int64_t> result;
};

} // namespace

static Expected<MatMulShapes> matMulShapes(const Tensor &a, const Tensor &b) {
  if (a.rank() == 0 || b.rank() == 0)
    return invalidInput("operands need rank 1 or more, found " + a.describe() + " and " +
                        b.describe());
  bool vectorA = a.rank() == 1, vectorB = b.rank() == 1;
  MatMulShapes shapes;
  int64_t depth = a.dims().back();
  int64_t depthB = b.dim(vectorB ? 0 : b.rank() - 2);
  if (depth != depthB)
    return invalidInput("inner dimensions differ: " + a.describe() + " and " + b.describe());
  shapes.sizes = {vectorA ? 1 : a.dim(a.rank() - 2), vectorB ? 1 : b.dims().back(), depth};
  if (!vectorA)
    shapes.aBatch.assign(a.dims().begin(), a.dims().end() - 2);
  if (!vectorB)
    shapes.bBatch.assign(b.dims().begin(), b.dims().end() - 2);
  QUERN_ASSIGN(shapes.batch, broadcastDims(shapes.aBatch, shapes.bBatch));
  shapes.result = shapes.batch;
  if (!vectorA)
    shapes.result.push_back(shapes.sizes.rows);
  if (!vectorB)
    shapes.result.push_back(shapes.sizes.columns);
  return shapes;
}

Expected<std::vector<Tensor>> reference::evalMatMul(const OpCall &call) {
  QUERN_ASSIGN(Factors factors, Factors::of(call));
  const Tensor &a = factors.a, &b = factors.b;
  QUERN_ASSIGN(MatMulShapes shapes, matMulShapes(a, b));
  ProductSizes sizes = shapes.sizes;
  QUERN_TRY(call.budget.require(CheckedSize::product(shapes.result) * CheckedSize(sizes.depth)));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, a.dtype(), shapes.result));
  // Walk matrices: their index in the batch, counted in matrices.
  IndexWalk aWalk(shapes.batch, broadcastStrides(shapes.aBatch, shapes.batch));
  IndexWalk bWalk(shapes.batch, broadcastStrides(shapes.bBatch, shapes.batch));
  QUERN_TRY(visitNumber(a.dtype(), [&]<typename T>() {
    T *out = result.mutableData<T>();
    if (result.numElements() == 0)
      return Status::ok();
    QUERN_ASSIGN(auto blocks, ProductBlocks<T>::allocate(call.budget));
    for (; !aWalk.done(); aWalk.next(), bWalk.next(), out += sizes.rows * sizes.columns) {
      MatrixView<T> aMatrix{a.data<T>() + aWalk.offset() * sizes.rows * sizes.depth, sizes.depth,
                            1};
      MatrixView<T> bMatrix{b.data<T>() + bWalk.offset() * sizes.depth * sizes.columns,
                            sizes.columns, 1};
      auto store = [&](int64_t i, int64_t j, Wide<T> sum) {
        out[i * sizes.columns + j] = narrow<T>(sum);
      };
      QUERN_TRY(multiply(aMatrix, bMatrix, sizes, blocks, call.budget, store));
    }
    return Status::ok();
  }));
  return std::vector<Tensor>{result};
}

static Expected<ProductSizes> gemmSizes(const OpCall &call, bool transA, bool transB) {
  const Tensor &a = call.inputs[0], &b = call.inputs[1];
  if (a.rank() != 2 || b.rank() != 2)
    return invalidInput("operands must be matrices, found " + a.describe() + " and " +
                        b.describe());
  ProductSizes sizes{a.dim(transA ? 1 : 0), b.dim(transB ? 0 : 1), a.dim(transA ? 0 : 1)};
  if (sizes.depth != b.dim(transB ? 1 : 0))
    return invalidInput("inner dimensions differ: " + a.describe() + " and " + b.describe());
  return sizes;
}

/// alpha * sum + beta * c. Among integers the factors are truncated to integers.
template <typename W> static W scaledSum(W sum, W c, double alpha, double beta) {
  if constexpr (std::is_same_v<W, double>)
    return alpha * sum + beta * c;
  else
    return fromDouble<W>(alpha) * sum + fromDouble<W>(beta) * c;
}

static Expected<std::vector<Tensor>> evalGemm(const OpCall &call) {
  QUERN_ASSIGN(Factors factors, Factors::of(call));
  const Tensor &a = factors.a, &b = factors.b, &c = call.inputs[2];
  bool transA = call.attributes.getInt("trans_a"), transB = call.attributes.getInt("trans_b");
  double alpha = call.attributes.getFloat("alpha", 1), beta = call.attributes.getFloat("beta", 1);
  QUERN_ASSIGN(ProductSizes sizes, gemmSizes(call, transA, transB));
  std::vector<int64_t> dims = {sizes.rows, sizes.columns};
  std::vector<int64_t> cStrides = {0, 0};
  if (c.isPresent()) {
    if (c.dtype() != factors.sums())
      return invalidInput(
          fmt::format("c is {}, the sums are {}", c.describe(), dtypeName(factors.sums())));
    QUERN_ASSIGN(std::vector<int64_t> common, broadcastDims(c.dims(), dims));
    if (common != dims)
      return invalidInput("c (" + c.describe() + ") does not broadcast to " + formatDims(dims));
    cStrides = broadcastStrides(c.dims(), dims);
  }
  QUERN_TRY(call.budget.require(CheckedSize::product(dims) * CheckedSize(sizes.depth)));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, a.dtype(), dims));
  QUERN_TRY(visitNumber(a.dtype(), [&]<typename T>() {
    MatrixView<T> aMatrix{a.data<T>(), a.dim(1), 1}, bMatrix{b.data<T>(), b.dim(1), 1};
    if (transA)
      std::swap(aMatrix.rowStride, aMatrix.columnStride);
    if (transB)
      std::swap(bMatrix.rowStride, bMatrix.columnStride);
    MatrixView<T> cMatrix{c.isPresent() ? c.data<T>() : nullptr, cStrides[0], cStrides[1]};
    T *out = result.mutableData<T>();
    QUERN_ASSIGN(auto blocks, ProductBlocks<T>::allocate(call.budget));
    return multiply(aMatrix, bMatrix, sizes, blocks, call.budget,
                    [&](int64_t i, int64_t j, Wide<T> sum) {
                      Wide<T> addend = cMatrix.data ? cMatrix.at(i, j) : Wide<T>(0);
                      out[i * sizes.columns + j] = narrow<T>(scaledSum(sum, addend, alpha, beta));
                    });
  }));
  return std::vector<Tensor>{result};
}

/// The weights of nn.block_matmul, [n, k], as the numbers that they stand for.
static Expected<Tensor> blockWeights(const OpCall &call) {
  const Tensor &weights = call.inputs[1], &scale = call.inputs[2], &zero = call.inputs[3];
  int64_t size = call.attributes.getInt("block_size"), depth = weights.dim(1);
  if (size < 1 || scale.rank() != 2 || scale.dim(0) != weights.dim(0) ||
      scale.dim(1) != ceilDiv(depth, size))
    return invalidInput(fmt::format("scales {} do not fit weights {} in blocks of {}",
                                    scale.describe(), weights.describe(), size));
  bool isShared = !zero.isPresent() || zero.rank() == 0;
  if (!isShared && zero.dims() != scale.dims())
    return invalidInput(
        fmt::format("zero points {} do not fit scales {}", zero.describe(), scale.describe()));
  QUERN_TRY(call.budget.require(CheckedSize(weights.numElements())));
  QUERN_ASSIGN(Tensor numbers, call.budget.allocateUninitialized(DType::Float32, weights.dims()));
  QUERN_TRY(visitCastable(weights.dtype(), [&]<typename T>() {
    for (int64_t i = 0; i < weights.numElements(); ++i) {
      int64_t block = i / depth * scale.dim(1) + i % depth / size;
      auto value = static_cast<int64_t>(widen(weights.data<T>()[i]));
      if (zero.isPresent())
        value -= static_cast<int64_t>(widen(zero.data<T>()[isShared ? 0 : block]));
      numbers.mutableData<float>()[i] = static_cast<float>(value) * scale.data<float>()[block];
    }
    return Status::ok();
  }));
  return numbers;
}

static Expected<std::vector<Tensor>> evalBlockMatMul(const OpCall &call) {
  const Tensor &a = call.inputs[0], &weights = call.inputs[1];
  if (weights.rank() != 2 || a.rank() == 0 || a.dims().back() != weights.dim(1) ||
      a.dtype() != DType::Float32)
    return invalidInput("weights " + weights.describe() + " do not fit " + a.describe());
  QUERN_ASSIGN(Tensor numbers, blockWeights(call));
  int64_t depth = weights.dim(1), columns = weights.dim(0);
  std::vector<int64_t> dims = a.dims();
  dims.back() = columns;
  QUERN_TRY(call.budget.require(CheckedSize::product(dims) * CheckedSize(depth)));
  QUERN_ASSIGN(Tensor result, call.allocateResult(0, DType::Float32, dims));
  if (result.numElements() == 0)
    return std::vector<Tensor>{result};
  QUERN_ASSIGN(auto blocks, ProductBlocks<float>::allocate(call.budget));
  float *out = result.mutableData<float>();
  QUERN_TRY(multiply<float>(
      {a.data<float>(), depth, 1}, {numbers.data<float>(), 1, depth},
      {result.numElements() / columns, columns, depth}, blocks, call.budget,
      [&](int64_t i, int64_t j, double sum) { out[i * columns + j] = narrow<float>(sum); }));
  return std::vector<Tensor>{result};
}

std::span<const EvaluatorRow> reference::contractionEvaluators() {
  static constexpr EvaluatorRow rows[] = {
      {"nn.block_matmul", evalBlockMatMul},
      {"nn.gemm", evalGemm},
      {"nn.matmul", evalMatMul},
  };
  return rows;
}
