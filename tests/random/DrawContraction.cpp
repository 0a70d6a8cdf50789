//===- DrawContraction.cpp - random matrix products -----------------------===//
#include "tests/random/ModelDraw.h"

#include <algorithm>
#include <cmath>

using namespace quern;
using namespace quern::random;

namespace {
/// A product of `k` terms: exact while sums of integers are.
Drawn product(ModelDraw &draw, const Drawn &a, const Drawn &b, int64_t k, Tensor::Dims dims) {
  auto terms = static_cast<double>(std::max<int64_t>(k, 1));
  Drawn y{draw.fresh(), a.dtype, std::move(dims), terms * a.bound * b.bound, 0};
  y.error = terms * (a.bound * b.error + b.bound * a.error);
  if (y.error > 0)
    y.error += std::sqrt(terms) * roundingUnit(a.dtype) * y.bound;
  return y;
}

int64_t drawColumns(ModelDraw &draw) {
  return draw.percent(40) ? draw.pick<int64_t>({1, 16, 17, 31, 32, 48, 65}) : draw.between(1, 12);
}

bool isFactor(const Drawn &v) {
  return (v.dtype == DType::Float32 || v.dtype == DType::Float64 || v.dtype == DType::Float16) &&
         v.bound <= 32 && v.elements() <= 8000;
}

/// A second factor; of float32 now and then weights that the model has in 16 bits.
Drawn secondFactor(ModelDraw &draw, DType dtype, const Tensor::Dims &dims) {
  if (dtype != DType::Float32 || !draw.percent(20))
    return draw.operand(dtype, dims, 32);
  DType narrow = draw.opset() >= 13 && draw.percent(40) ? DType::BFloat16 : DType::Float16;
  Drawn half = draw.parameter(narrow, dims);
  Drawn wide{draw.fresh(), dtype, dims, half.bound, half.error};
  draw.result("Cast", {half.name}, wide).attr("to", static_cast<int64_t>(dtype));
  return wide;
}

bool drawMatMul(ModelDraw &draw) {
  Drawn a = draw.any([](const Drawn &v) { return isFactor(v) && v.rank() >= 1; },
                     [&] {
                       Tensor::Dims dims = draw.drawDims(0, 2);
                       dims.insert(dims.end(), {drawColumns(draw), draw.between(1, 20)});
                       return draw.leaf(DType::Float32, dims);
                     });
  int64_t k = a.dims.back(), n = drawColumns(draw);
  // Batch dimensions of the second operand: those of the first, ones, fewer, more.
  Tensor::Dims batch(a.dims.begin(), a.dims.end() - std::min<int64_t>(a.rank(), 2));
  Tensor::Dims bDims = batch;
  for (int64_t &d : bDims)
    if (draw.percent(30))
      d = 1;
  if (draw.percent(40))
    bDims.clear();
  else if (draw.percent(15) && bDims.size() < 2)
    bDims.insert(bDims.begin(), draw.between(1, 2));
  // ONNX Runtime does not sum up nothing to 0 where a vector is an operand.
  bool vectorB = bDims.empty() && k > 0 && draw.percent(15);
  if (a.rank() == 1 && k == 0)
    return false;
  bDims.push_back(k);
  if (!vectorB)
    bDims.push_back(n);
  Drawn b = secondFactor(draw, a.dtype, bDims);
  // The result: broadcast batches, then the rows and columns that are there.
  Tensor::Dims bBatch(bDims.begin(), bDims.end() - (vectorB ? 1 : 2)), dims;
  while (bBatch.size() < batch.size())
    bBatch.insert(bBatch.begin(), 1);
  while (batch.size() < bBatch.size())
    batch.insert(batch.begin(), 1);
  for (size_t i = 0; i < batch.size(); ++i)
    dims.push_back(batch[i] == 1 ? bBatch[i] : batch[i]);
  if (a.rank() >= 2)
    dims.push_back(a.dims[a.rank() - 2]);
  if (!vectorB)
    dims.push_back(n);
  Drawn y = product(draw, a, b, k, dims);
  if (y.elements() > 20000)
    return false;
  draw.result("MatMul", {a.name, b.name}, y);
  return true;
}

bool drawGemm(ModelDraw &draw) {
  Drawn a =
      draw.any([](const Drawn &v) { return isFactor(v) && v.rank() == 2; },
               [&] { return draw.leaf(DType::Float32, {drawColumns(draw), draw.between(1, 20)}); });
  bool transA = draw.percent(40), transB = draw.percent(40);
  int64_t m = a.dims[transA ? 1 : 0], k = a.dims[transA ? 0 : 1], n = drawColumns(draw);
  Drawn b = secondFactor(draw, a.dtype, transB ? Tensor::Dims{n, k} : Tensor::Dims{k, n});
  double alpha = draw.pick({1.0, 1.0, 0.5, 2.0, -1.0}),
         beta = draw.pick({1.0, 1.0, 0.5, -2.0, 0.0});
  Drawn y = product(draw, a, b, k, {m, n});
  y.bound *= 2;
  y.error *= 2;
  std::vector<std::string> inputs = {a.name, b.name};
  if (draw.opset() < 11 || draw.percent(70)) {
    Tensor::Dims dims = draw.pick<Tensor::Dims>({{n}, {1, n}, {m, n}, {m, 1}, {1}, {}, {1, 1}});
    Drawn c = draw.operand(a.dtype, dims, 1024);
    inputs.push_back(c.name);
    y.bound += 2 * c.bound;
    y.error += 2 * c.error;
  }
  // Halves are not integers: exact still, but in fewer bits.
  if (alpha == 0.5 || beta == 0.5)
    y.error += roundingUnit(a.dtype) * y.bound;
  auto &node = draw.result("Gemm", inputs, y);
  if (alpha != 1)
    node.attr("alpha", static_cast<float>(alpha));
  if (beta != 1)
    node.attr("beta", static_cast<float>(beta));
  if (transA || draw.percent(20))
    node.attr("transA", int64_t{transA});
  if (transB || draw.percent(20))
    node.attr("transB", int64_t{transB});
  return true;
}
} // namespace

OpFamily random::contractionFamily() { return {9, 3, {drawMatMul, drawMatMul, drawGemm}, 1}; }
