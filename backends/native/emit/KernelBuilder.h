//===- KernelBuilder.h - one kernel function under construction -----------===//
#pragma once

#include "backends/native/emit/KernelDims.h"
#include "backends/native/target/Target.h"
#include "runtime/plan/Kernel.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <memory>

namespace quern::native {

/// Builds `i32 symbol(void *const *buffers, const i64 *dims, i64 taskBegin,
/// i64 taskEnd, void *scratch)`, a KernelFunction, in a module and context of its
/// own, from scf, arith, math, vector and LLVM-dialect loads and stores. All index
/// arithmetic is i64. It returns 0 unless trapIf says otherwise.
class KernelBuilder {
public:
  KernelBuilder(const Target &target, llvm::StringRef symbol);

  const Target &target() const { return cpu; }
  mlir::OpBuilder &builder() { return ops; }
  mlir::Location loc() const { return location; }

  mlir::Value taskBegin() const { return begin; }
  mlir::Value taskEnd() const { return end; }
  /// The base pointer of buffer `i` / the value of dim `i`; loaded once, at entry.
  mlir::Value buffer(int64_t i);
  mlir::Value dim(int64_t i);
  template <class Dims> mlir::Value dim(int64_t Dims::*member) { return dim(dimIndex(member)); }
  /// What `make` makes of `pointer`, a buffer, before all else: emitted for the first who asks.
  /// Null where `pointer` is not known at entry.
  mlir::Value madeAtEntry(mlir::Value pointer, llvm::function_ref<mlir::Value()> make);
  /// The worker's own memory, of the size that the step states.
  mlir::Value scratch() const { return scratchArgument; }
  /// Where `condition`, an i1, holds for the first time, its `reason` becomes what
  /// the kernel returns. The kernel goes on: what follows must do no harm, so an
  /// index that is refused is not used.
  void trapIf(mlir::Value condition, TrapCode reason);

  // i64 arithmetic; folds constants.
  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b) { return mul(a, index(b)); }
  mlir::Value add(mlir::Value a, int64_t b) { return add(a, index(b)); }
  mlir::Value minSigned(mlir::Value a, mlir::Value b);
  mlir::Value maxSigned(mlir::Value a, mlir::Value b);
  /// Quotient and remainder of non-negative values.
  mlir::Value div(mlir::Value a, mlir::Value b);
  mlir::Value rem(mlir::Value a, mlir::Value b);
  mlir::Value lessThan(mlir::Value a, mlir::Value b);

  /// `pointer + elements * sizeof(dtype)`, in the same buffer: where a sum of
  /// offsets passes a place outside of it, add them up first. An address outside
  /// may be formed where nothing is read or written, all lanes masked, too.
  mlir::Value advance(mlir::Value pointer, mlir::Value elements, DType dtype);
  mlir::Value advance(mlir::Value pointer, int64_t elements, DType dtype);

  /// Memory for `elements` elements, aligned for vectors, while the function runs:
  /// one place for all iterations of the loops around.
  mlir::Value stackSpace(DType dtype, int64_t elements);

  // Loads and stores of `lanes` consecutive elements (0: a scalar). Bool is i8 in
  // memory and i1 in registers. `active`, when given, is the number of leading
  // lanes that exist (0..lanes): others load zero and are not stored.
  mlir::Value load(mlir::Value pointer, DType dtype, int64_t lanes, mlir::Value active = {});
  /// The 32 bits at `pointer`, which is aligned for elements of `dtype`.
  mlir::Value loadWord(mlir::Value pointer, DType dtype);
  void store(mlir::Value value, mlir::Value pointer, DType dtype, int64_t lanes,
             mlir::Value active = {});
  /// A scalar in all lanes (returns the scalar itself when lanes is 0).
  mlir::Value splat(mlir::Value scalar, int64_t lanes);
  mlir::Value floatConstant(DType dtype, int64_t lanes, double value);
  /// Two vectors of 16-bit integers, or four of bytes, as one of 32-bit integers: the first in the
  /// lowest bits.
  mlir::Value interleave(mlir::ValueRange parts);
  /// A vector of 16 or 8 floats as bfloat16 by the instruction of AVX512-BF16, which makes zero of
  /// subnormal numbers as products do: two instructions instead of ten. Null where there is none.
  mlir::Value flushedToBFloat16(mlir::Value floats);
  /// a * b + c, with one rounding where the target has FMA.
  mlir::Value multiplyAdd(mlir::Value a, mlir::Value b, mlir::Value c);

  using Values = llvm::SmallVector<mlir::Value>;
  /// for (i = from; i < to; i += step); `body` gets i and the carried values and
  /// returns their next values. Returns the final ones.
  Values forLoop(mlir::Value from, mlir::Value to, int64_t step, mlir::ValueRange carried,
                 const std::function<Values(mlir::Value i, mlir::ValueRange carried)> &body);
  void forLoop(mlir::Value from, mlir::Value to, int64_t step,
               const std::function<void(mlir::Value i)> &body);
  void ifThen(mlir::Value condition, const std::function<void()> &then,
              const std::function<void()> &otherwise = nullptr);

  /// Ends the function and gives the module away; verify before lowering.
  struct Module {
    std::unique_ptr<mlir::MLIRContext> context;
    mlir::OwningOpRef<mlir::ModuleOp> module;
  };
  Module finish();

private:
  mlir::Value mask(mlir::Value active, int64_t lanes);

  Target cpu;
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OpBuilder ops;
  mlir::Location location;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::Block *entry = nullptr;
  mlir::Value buffersArgument, dimsArgument, begin, end, scratchArgument;
  /// The place of the answer in a kernel that can refuse.
  mlir::Value answer;
  llvm::SmallVector<mlir::Value> buffers, dims;
  llvm::SmallDenseMap<mlir::Value, mlir::Value, 2> madeOf;
};

} // namespace quern::native
