//===- ImportRecurrent.cpp - RNN, GRU and LSTM ----------------------------===//
//
// What the inputs of all time steps give to the gates is one matrix product, with all
// biases in it that do not depend on the state; nn.recurrent does the rest.
//
//===----------------------------------------------------------------------===//
#include "frontend/compose/Composition.h"
#include "frontend/onnx/Operands.h"
#include "frontend/onnx/OpsetTable.h"
#include "ir/RecurrentOps.h"

#include <fmt/format.h>

using namespace quern;
using namespace quern::onnx;
using mlir::Value;

namespace {
/// The attributes of a node that shape what it becomes.
struct RecurrentNode {
  CellKind cell;
  RecurrentDirection direction;
  /// W and R are integers with scales (DynamicQuantizeLSTM).
  bool isQuantized = false;
  /// X, Y and states begin with the batch.
  bool batchFirst = false;
  bool linearBeforeReset = false;

  int64_t directions() const { return directionsOf(direction); }
  int64_t gates() const { return gatesOf(cell); }
};

struct Activations {
  llvm::SmallVector<int64_t> numbers;
  llvm::SmallVector<double> alpha, beta;
};

/// An activation, the parameters it has (none, alpha, or alpha and beta), and what they are
/// where a node does not say. Of ScaledTanh ONNX does not say either.
struct ActivationRow {
  CellActivation activation;
  int parameters;
  double alpha, beta;
  bool hasDefaults = true;
};
} // namespace

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

static const ActivationRow *findActivation(llvm::StringRef name) {
  using enum CellActivation;
  static constexpr float kHundredth = 0.01f, kFifth = 0.2f; // parameters are float32
  static constexpr ActivationRow rows[] = {{Relu, 0, 0, 0},
                                           {LeakyRelu, 1, kHundredth, 0},
                                           {ThresholdedRelu, 1, 1, 0},
                                           {Tanh, 0, 0, 0},
                                           {ScaledTanh, 2, 0, 0, false},
                                           {Sigmoid, 0, 0, 0},
                                           {HardSigmoid, 2, kFifth, 0.5},
                                           {Elu, 1, 1, 0},
                                           {Softsign, 0, 0, 0},
                                           {Softplus, 0, 0, 0},
                                           {Affine, 2, 1, 0}};
  for (const ActivationRow &row : rows)
    if (name.equals_insensitive(llvm::StringRef(nameOf(row.activation))))
      return &row;
  return nullptr;
}

static std::vector<std::string> defaultActivations(const RecurrentNode &r) {
  static const std::vector<std::string> all = {"Sigmoid", "Tanh", "Tanh"};
  std::vector<std::string> names;
  for (int64_t d = 0; d < r.directions(); ++d)
    if (r.cell == CellKind::Rnn)
      names.emplace_back("Tanh");
    else
      names.insert(names.end(), all.begin(), all.begin() + activationsOf(r.cell));
  return names;
}

/// The activations of all directions. Parameters are given in the order of those
/// activations that have some; missing ones are ONNX's defaults.
static Activations readActivations(NodeReader &node, const RecurrentNode &r) {
  std::vector<std::string> names = node.getStrings("activations");
  if (names.empty())
    names = defaultActivations(r);
  auto wanted = static_cast<size_t>(activationsOf(r.cell) * r.directions());
  Activations all;
  if (names.size() != wanted) {
    node.invalid(
        fmt::format("attribute 'activations': needs {} names, found {}", wanted, names.size()));
    return all;
  }
  std::vector<float> alphas = node.getFloats("activation_alpha"),
                     betas = node.getFloats("activation_beta");
  size_t nextAlpha = 0, nextBeta = 0;
  for (const std::string &name : names) {
    const ActivationRow *row = findActivation(name);
    if (!row) {
      node.unsupported("activation '" + name + "'");
      return all;
    }
    bool hasAlpha = row->parameters > 0 && nextAlpha < alphas.size();
    bool hasBeta = row->parameters > 1 && nextBeta < betas.size();
    if (!row->hasDefaults && !(hasAlpha && hasBeta))
      node.invalid("activation '" + name + "' needs alpha and beta");
    all.numbers.push_back(static_cast<int64_t>(row->activation));
    all.alpha.push_back(hasAlpha ? alphas[nextAlpha++] : row->alpha);
    all.beta.push_back(hasBeta ? betas[nextBeta++] : row->beta);
  }
  return all;
}

static RecurrentNode readNode(NodeReader &node, CellKind cell, bool isQuantized) {
  RecurrentNode r{cell, node.getEnum("direction", RecurrentDirection::Forward), isQuantized};
  if (!isQuantized && node.opset() >= 14) {
    int64_t layout = node.getInt("layout", 0);
    if (layout != 0 && layout != 1)
      node.invalid(fmt::format("attribute 'layout' must be 0 or 1, found {}", layout));
    r.batchFirst = layout == 1;
  }
  if (cell == CellKind::Gru)
    r.linearBeforeReset = node.getBool("linear_before_reset", false);
  return r;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

enum Input {
  kX,
  kW,
  kR,
  kB,
  kLengths,
  kInitialH,
  kInitialC,
  kP,
  // Of DynamicQuantizeLSTM.
  kScaleOfW,
  kZeroOfW,
  kScaleOfR,
  kZeroOfR,
};

/// An error where an operand's shape is known to be another than this.
static void requireShape(NodeReader &node, int i, std::string_view name,
                         llvm::ArrayRef<nn::Dim> wanted) {
  std::optional<nn::Shape> found = node.inputShape(i);
  if (!found)
    return;
  bool fits = found->rank() == static_cast<int64_t>(wanted.size());
  for (int64_t d = 0; fits && d < found->rank(); ++d)
    fits = (*found)[d].compatibleWith(wanted[d]);
  if (!fits)
    node.invalid(fmt::format("{} must have shape {}, found {}", name,
                             nn::Shape({wanted.begin(), wanted.end()}).str(), found->str()));
}

/// Checks what of ONNX's operands nn.recurrent does not have.
static void checkOperands(NodeReader &node, const RecurrentNode &r) {
  requireFloats(node, kX);
  for (int i : {kW, kR, kB, kInitialH, kInitialC, kP, kScaleOfW, kScaleOfR}) {
    bool isInteger = r.isQuantized && (i == kW || i == kR);
    if (node.hasInput(i) && !isInteger && node.inputDType(i) != node.inputDType(kX))
      node.invalid(fmt::format("input {} must hold {}, found {}", i, dtypeName(node.inputDType(kX)),
                               dtypeName(node.inputDType(i))));
  }
  nn::Dim hidden, features, directions(r.directions()), gates(r.gates());
  int64_t given = node.getInt("hidden_size", 0);
  if (given != 0)
    hidden = nn::Dim(given);
  else if (auto shape = node.inputShape(kR); shape && shape->rank() == 3)
    hidden = (*shape)[r.isQuantized ? 1 : 2];
  if (auto shape = node.inputShape(kX); shape && shape->rank() == 3)
    features = (*shape)[2];
  if (given < 0)
    return node.invalid(fmt::format("attribute 'hidden_size' must be positive, found {}", given));
  requireShape(node, kX, "X", {nn::Dim(), nn::Dim(), nn::Dim()});
  if (r.isQuantized) { // transposed
    requireShape(node, kW, "W", {directions, features, gates * hidden});
    requireShape(node, kR, "R", {directions, hidden, gates * hidden});
  } else {
    requireShape(node, kW, "W", {directions, gates * hidden, features});
    requireShape(node, kR, "R", {directions, gates * hidden, hidden});
  }
  requireShape(node, kB, "B", {directions, nn::Dim(2) * gates * hidden});
}

/// [batch, directions, hidden] as [directions, batch, hidden], or back.
static Value swapFirst(NodeReader &node, Value state) {
  return node.create<nn::TransposeOp>(state, llvm::ArrayRef<int64_t>{1, 0, 2});
}

static Value readState(NodeReader &node, const RecurrentNode &r, int i) {
  if (!node.hasInput(i))
    return node.none();
  Value state = widen(node, node.input(i));
  return r.batchFirst ? swapFirst(node, state) : state;
}

namespace {
/// The biases by what they are added to.
struct Biases {
  /// To the gates: [1, directions * gates * hidden]; null without any.
  Value ofGates;
  /// To the recurrent part of h of a GRU; none without one.
  Value ofReset;
};
} // namespace

/// W's and R's biases, which are added once but where the reset gate comes between.
static Biases readBiases(NodeReader &node, const RecurrentNode &r) {
  Value none = node.none();
  if (!node.hasInput(kB))
    return {Value(), none};
  Value both = widen(node, node.input(kB));
  auto parts = [&](size_t count) {
    return node.createMulti<nn::SplitOp>(count, both, none, /*axis=*/int64_t{1});
  };
  auto flat = [&](Value bias) { return node.create<nn::FlattenOp>(bias, /*axis=*/int64_t{0}); };
  if (!r.linearBeforeReset) {
    auto halves = parts(2);
    return {flat(node.create<nn::AddOp>(halves[0], halves[1])), none};
  }
  auto all = parts(6); // z, r, h of W, then of R
  Value gates[] = {node.create<nn::AddOp>(all[0], all[3]), node.create<nn::AddOp>(all[1], all[4]),
                   all[2]};
  return {flat(node.create<nn::ConcatOp>(mlir::ValueRange(gates), /*axis=*/int64_t{1})), all[5]};
}

/// Input `data` [directions, rows, gates * hidden], whose scale and zero point are of a
/// direction or of each column of one.
static Value dequantize(NodeReader &node, int data, int scale, int zeroPoint) {
  if (DType dtype = node.inputDType(data); dtype != DType::Int8 && dtype != DType::UInt8)
    node.invalid(fmt::format("input {} must hold int8 or uint8, found {}", data, dtypeName(dtype)));
  auto broadcast = [&](int i) {
    Value parameter = node.input(i);
    std::optional<nn::Shape> shape = node.inputShape(i);
    int64_t rank = shape ? shape->rank() : 0;
    if (rank != 1 && rank != 2) {
      node.invalid(fmt::format("input {} must have rank 1 or 2", i));
      return parameter;
    }
    return node.create<nn::UnsqueezeOp>(
        parameter,
        node.intsConstant(rank == 1 ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{1}));
  };
  if (node.inputDType(zeroPoint) != node.inputDType(data))
    node.invalid(fmt::format("input {} must hold {}, found {}", zeroPoint,
                             dtypeName(node.inputDType(data)),
                             dtypeName(node.inputDType(zeroPoint))));
  Value scales = broadcast(scale), zeros = broadcast(zeroPoint);
  if (node.failed())
    return node.input(data);
  Value steps = node.create<nn::SubOp>(node.createCast(node.input(data), DType::Float32),
                                       node.createCast(zeros, DType::Float32));
  return node.create<nn::MulOp>(steps, scales);
}

namespace {
struct Weights {
  /// [features, directions * gates * hidden]
  Value ofInput;
  /// [directions, gates * hidden, hidden]
  Value recurrence;
};
} // namespace

/// The weights as floats. What is multiplied with quantized ones stays as it is: ONNX Runtime
/// rounds it to a byte in every step, by the range that it happens to have in a batch.
static Weights readWeights(NodeReader &node, const RecurrentNode &r) {
  using Order = llvm::ArrayRef<int64_t>;
  Value ofInput, recurrence;
  if (r.isQuantized) {
    ofInput = dequantize(node, kW, kScaleOfW, kZeroOfW);
    recurrence = dequantize(node, kR, kScaleOfR, kZeroOfR);
    if (node.failed())
      return {};
    ofInput = node.create<nn::TransposeOp>(ofInput, Order{1, 0, 2});
    recurrence = node.create<nn::TransposeOp>(recurrence, Order{0, 2, 1});
  } else {
    ofInput = node.create<nn::TransposeOp>(widen(node, node.input(kW)), Order{2, 0, 1});
    recurrence = widen(node, node.input(kR));
  }
  return {node.create<nn::FlattenOp>(ofInput, /*axis=*/int64_t{1}), recurrence};
}

/// What the inputs give to the gates: [steps, batch, directions * gates * hidden].
static Value createInputProduct(NodeReader &node, const RecurrentNode &r, Value weights,
                                Value bias) {
  Value x = widen(node, node.input(kX));
  if (r.batchFirst)
    x = swapFirst(node, x);
  Value product = node.create<nn::MatMulOp>(x, weights);
  return bias ? node.create<nn::AddOp>(product, bias) : product;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// The results in the layout and the element type of the node.
static void setOutputs(NodeReader &node, const RecurrentNode &r, mlir::ResultRange results) {
  DType dtype = node.inputDType(kX);
  for (int i = 0; i < static_cast<int>(results.size()); ++i) {
    if (!node.hasOutput(i))
      continue;
    Value result = results[i];
    if (r.batchFirst)
      result = i == 0 ? node.create<nn::TransposeOp>(result, llvm::ArrayRef<int64_t>{2, 0, 1, 3})
                      : swapFirst(node, result);
    node.setOutput(i, convert(node, result, dtype));
  }
}

static void importRecurrent(NodeReader &node, CellKind cell, bool isQuantized = false) {
  RecurrentNode r = readNode(node, cell, isQuantized);
  bool isLstm = cell == CellKind::Lstm;
  Activations activations = readActivations(node, r);
  mlir::FloatAttr clip;
  if (node.hasAttribute("clip"))
    clip = node.builder().getF64FloatAttr(node.getFloat("clip"));
  if (clip && !(clip.getValueAsDouble() >= 0))
    node.invalid(
        fmt::format("attribute 'clip' must not be negative, found {}", clip.getValueAsDouble()));
  bool inputForget = isLstm && node.getBool("input_forget", false);
  checkOperands(node, r);
  if (node.failed())
    return;
  Value none = node.none();
  Weights weights = readWeights(node, r);
  if (node.failed())
    return;
  Biases biases = readBiases(node, r);
  Value product = createInputProduct(node, r, weights.ofInput, biases.ofGates);
  Value initialC = isLstm ? readState(node, r, kInitialC) : none;
  Value peepholes = isLstm && node.hasInput(kP) ? widen(node, node.input(kP)) : none;
  auto results = node.createMulti<nn::RecurrentOp>(
      isLstm ? 3 : 2, product, weights.recurrence, biases.ofReset, node.input(kLengths),
      readState(node, r, kInitialH), initialC, peepholes, static_cast<int64_t>(cell),
      static_cast<int64_t>(r.direction), llvm::ArrayRef<int64_t>(activations.numbers),
      llvm::ArrayRef<double>(activations.alpha), llvm::ArrayRef<double>(activations.beta), clip,
      inputForget, r.linearBeforeReset, /*cell_clip=*/mlir::FloatAttr());
  setOutputs(node, r, results);
}

static void importRnn(NodeReader &node) { importRecurrent(node, CellKind::Rnn); }
static void importGru(NodeReader &node) { importRecurrent(node, CellKind::Gru); }
static void importLstm(NodeReader &node) { importRecurrent(node, CellKind::Lstm); }
static void importQuantizedLstm(NodeReader &node) {
  for (int i : {kScaleOfW, kZeroOfW, kScaleOfR, kZeroOfR})
    if (!node.hasInput(i))
      return node.invalid(fmt::format("required input {} is missing", i));
  importRecurrent(node, CellKind::Lstm, /*isQuantized=*/true);
}

std::span<const OpsetRow> quern::onnx::recurrentImports() {
  static constexpr OpsetRow rows[] = {
      {"DynamicQuantizeLSTM", 1, 1, 3, 12, 3, importQuantizedLstm, kMicrosoftDomain},
      {"GRU", 7, kNewestOpset, 3, 6, 2, importGru},
      {"LSTM", 7, kNewestOpset, 3, 8, 3, importLstm},
      {"RNN", 7, kNewestOpset, 3, 6, 2, importRnn},
  };
  return rows;
}
