//===- OpReader.h - what the import of one op works with ------------------===//
#pragma once

#include "frontend/GraphBuilder.h"
#include "frontend/tflite/ModelView.h"

#include <functional>
#include <map>
#include <memory>

namespace quern::tflite {

using namespace frontend;

/// How the integers of a tensor stand for real numbers.
struct Scales {
  std::vector<float> scale;
  std::vector<int64_t> zeroPoint;
  /// Of several scales the dimension that they are along.
  int64_t dimension = 0;

  bool operator==(const Scales &) const = default;
};

/// What the import of a model's subgraphs shares.
struct ModelCalls {
  using Results = llvm::SmallVector<mlir::Value>;
  /// Imports a subgraph where the builder stands: its results for these arguments.
  std::function<Expected<Results>(uint32_t subgraph, llvm::ArrayRef<mlir::Value>)> call;
  /// By name: what variables hold once CALL_ONCE has set them, which it does in @main.
  std::map<std::string, mlir::Value> variables = {};
  /// While CALL_ONCE is imported.
  bool isFirstRun = false;
};

/// The state of an import of this format, of one subgraph.
struct SubgraphImport {
  const TfliteFile &file;
  ModelView view;
  ImportState &state;
  ModelCalls &calls;
  /// The values made so far, by the tensors' numbers.
  std::vector<mlir::Value> values = {};
  /// The names of variables that tensors stand for.
  std::map<int32_t, std::string> handles = {};
};

/// One op during its import. Operands and results are real numbers where a tensor is quantized:
/// integers dequantized, or what is to be quantized. After an error, getters return what does no
/// harm.
class OpReader : public GraphBuilder {
public:
  /// All numbers of tensors have been checked.
  OpReader(SubgraphImport &graph, const file::Operator &op, mlir::Location loc)
      : GraphBuilder(graph.state, loc), graph(graph), op(op) {}

  // Operands.
  int inputCount() const { return op.inputs() ? static_cast<int>(op.inputs()->size()) : 0; }
  bool hasInput(int i) const { return i < inputCount() && op.inputs()->Get(i) >= 0; }
  /// A tensor that LiteRT keeps from run to run, zeros at first.
  bool isVariable(int i) const { return hasInput(i) && inputTensor(i).is_variable(); }
  /// As it is stored; `nn.none` when left out.
  mlir::Value stored(int i);
  /// Floats: of a quantized tensor the numbers that it stands for, of others what is stored.
  mlir::Value real(int i);
  /// An error, and float32, where elements are no numbers, or complex: few ops take these.
  DType inputDType(int i);
  std::optional<nn::Shape> inputShape(int i) { return nn::shapeOf(stored(i)); }
  /// The rank of input `i`; Unsupported when it is unknown.
  int64_t rankOf(int i);
  /// Absent for numbers that are stored as they are.
  std::optional<Scales> scalesOf(int i) const;
  /// The integers of input `i` where the file has them.
  std::optional<std::vector<int64_t>> constants(int i);
  /// The same; an error where a run computes them.
  std::vector<int64_t> requireConstants(int i, const char *what);
  /// Integers as int64, of a vector.
  mlir::Value sizes(int i);

  // Results.
  int outputCount() const { return op.outputs() ? static_cast<int>(op.outputs()->size()) : 0; }
  bool hasOutput(int i) const { return i < outputCount() && op.outputs()->Get(i) >= 0; }
  /// As inputDType, of an output that is there.
  DType outputDType(int i);
  std::optional<Scales> outputScales(int i) const;
  /// The shape that the file says that output `i` has; -1 for sizes that may change.
  std::vector<int64_t> outputDims(int i) const;
  /// Quantizes floats where the result is a quantized tensor, and converts integers to its type.
  void setReal(int i, mlir::Value value);
  /// Elements that are stored as they are.
  void setStored(int i, mlir::Value value);
  /// `move` only chooses elements: it takes what is stored where operands and result stand for
  /// numbers alike, else real numbers.
  void setMoved(int i, llvm::ArrayRef<int> inputs,
                const std::function<mlir::Value(llvm::ArrayRef<mlir::Value>)> &move);
  /// Whether all of these stand for numbers as output `i` does.
  bool areAlike(int i, llvm::ArrayRef<int> inputs) const;
  /// Whether input 0 and output 0 hold bytes that stand for numbers alike: kernels of LiteRT then
  /// compute with the bytes.
  bool isOfBytes();
  /// The bytes of input 0 as floats, of the same values.
  mlir::Value bytes();
  /// The number that a byte of output 0 is for a real one, unless the type ends before it.
  double byteOf(double real) const;
  /// Rounds `value` to bytes, halves away from zero.
  void setBytes(mlir::Value value);
  /// What zero is stored as in a tensor like input `i`, as a scalar.
  mlir::Value storedZero(int i);

  /// The op's options, or what they are by default; verified.
  template <typename T> const T &options() {
    if (const file::Options *found = op.options()) {
      const auto *typed = reinterpret_cast<const T *>(found);
      if (isValid([typed](flatbuffers::Verifier &verifier) { return typed->Verify(verifier); }))
        return *typed;
      invalid("its options are damaged");
    }
    return defaults<T>();
  }
  /// Those of a custom op; none where the file has none.
  std::span<const uint8_t> customOptions() const;

  // Subgraphs.
  /// The results of a subgraph for these arguments, imported where the builder stands; none of them
  /// after an error.
  ModelCalls::Results call(int64_t subgraph, llvm::ArrayRef<mlir::Value> arguments);
  /// The sizes that the file says that a result of a subgraph has; -1 for those that may change.
  std::vector<int64_t> resultDims(int64_t subgraph, size_t result) const;
  bool isMain() const { return graph.view.graphNumber() == 0; }

  // Variables.
  ModelCalls &calls() { return graph.calls; }
  void setHandle(int i, std::string variable);
  /// The name of the variable that input `i` stands for; an error when it does not.
  std::string variableOf(int i);

  bool hasOptions() const { return op.options() != nullptr; }

private:
  const file::Tensor &inputTensor(int i) const { return graph.view.tensor(op.inputs()->Get(i)); }
  const file::Tensor &outputTensor(int i) const { return graph.view.tensor(op.outputs()->Get(i)); }
  DType knownDType(const file::Tensor &tensor);
  bool isValid(const std::function<bool(flatbuffers::Verifier &)> &verify) const;
  mlir::Value dequantized(mlir::Value value, const Scales &scales);
  mlir::Value scaleConstant(const Scales &scales);
  mlir::Value zeroConstant(const Scales &scales, DType dtype);

  /// A table of no fields: all of them are what they are by default.
  template <typename T> static const T &defaults() {
    static const flatbuffers::DetachedBuffer empty = [] {
      flatbuffers::FlatBufferBuilder builder;
      typename T::Builder table(builder);
      builder.Finish(table.Finish());
      return builder.Release();
    }();
    return *flatbuffers::GetRoot<T>(empty.data());
  }

  SubgraphImport &graph;
  const file::Operator &op;
};

/// Absent for a tensor that is not quantized. InvalidModel for scales that fit nothing.
Expected<std::optional<Scales>> readScales(const file::Tensor &tensor);

/// What an op does at last with its result.
mlir::Value createFused(GraphBuilder &graph, mlir::Value value, file::Activation activation);
/// The same of what becomes the bytes of output 0; not of TANH.
mlir::Value createFusedOfBytes(OpReader &op, mlir::Value value, file::Activation activation);

} // namespace quern::tflite
