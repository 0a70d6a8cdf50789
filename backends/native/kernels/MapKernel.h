//===- MapKernel.h - elementwise kernels on strided operands --------------===//
#pragma once

#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/ScalarProgram.h"

namespace quern::native {

/// Sizes or strides, one per dimension.
using Sizes = llvm::SmallVector<int64_t, 6>;

/// An operand of a map: a strided view of a buffer.
struct MapOperand {
  StepBuffer buffer;
  DType dtype = DType::Undefined;
  /// In elements, one per dimension of the map; 0 broadcasts, negative is fine. All are 0 of a
  /// table.
  Sizes strides;
};

/// Applies `program` at every index of a space of the given sizes.
struct MapProblem {
  /// Readable; part of the kernel's name.
  std::string name;
  Sizes sizes;
  /// Dimensions that are not 1 in general: they shape the code as if they were not,
  /// even when they are. None by default.
  llvm::SmallVector<bool> lasting;
  std::vector<MapOperand> inputs;
  std::vector<MapOperand> outputs;
  ScalarProgram program;
  /// The channels of a pixel, the last dimension, of what lies in blocks; else 0.
  int64_t block = 0;
};

/// What shapes the code of a map.
struct MapSpec {
  /// How an operand moves from one inner element to the next.
  enum class InnerStride { Zero, One, Any };

  ScalarProgram program;
  llvm::SmallVector<InnerStride, 4> inputs, outputs;
  llvm::SmallVector<DType, 2> outputTypes;
  /// Dimensions outside of rows and inner elements.
  int64_t outerRank = 0;
  /// Where rows are the pixels of a block of channels, and inputs are the same for all of them: the
  /// elements of a row, and which inputs these are, which stay in registers. Else 0.
  int64_t rowElements = 0;
  llvm::SmallVector<bool, 4> repeats;

  static constexpr std::string_view kFamily = "map";
  QUERN_FIELDS(program, inputs, outputs, outputTypes, outerRank, rowElements, repeats)
  void emit(KernelBuilder &kb) const;
};

/// Appends the step that computes `problem`; none when the space is empty. An
/// input may be the same memory as an output of equal strides.
void appendMap(MapProblem problem, std::vector<LoweredStep> &steps);

/// Drops dimensions of size 1, unless they are `lasting`, and merges neighbours that
/// every operand walks through like one dimension. `strides[k]` are those of
/// operand k. At least one dimension is left.
void collapseDimensions(Sizes &sizes, llvm::SmallVector<Sizes> &strides,
                        llvm::ArrayRef<bool> lasting = {});
/// The number of outer dimensions that a kernel has code for: few numbers serve
/// all, for which dimensions merge depends on sizes.
int64_t roundOuterRank(int64_t rank);

/// Whether masked loads and stores of `dtype` are instructions of the target.
bool hasMaskedAccess(const Target &target, DType dtype);

} // namespace quern::native
