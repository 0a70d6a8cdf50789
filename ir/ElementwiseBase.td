//===- ElementwiseBase.td - what a row of an elementwise op expands to ----===//
//
// A row gives the ONNX name, the element types, the scalar code generator
// (`emit`, against ScalarEmitter `e`) and the scalar reference (`eval`, plain
// C++ on T = double, int64_t, uint64_t or bool). Importer, shape inference,
// fusion, emission, folding and interpreter follow from the row.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_IR_ELEMENTWISEBASE_TD
#define QUERN_IR_ELEMENTWISEBASE_TD

include "ir/NNBase.td"

/// A float parameter (attribute) of an elementwise op and its ONNX default.
class NN_Param<string name_, string default_> {
  string name = name_;
  string default = default_;
}

/// The element classes of the data operands; `eval` is instantiated for each.
class NN_Domain<string cpp> { string classes = cpp; }
def NN_Float : NN_Domain<"kFloatClass">;
def NN_Signed : NN_Domain<"kFloatClass | kSignedClass">;
def NN_Unsigned : NN_Domain<"kUnsignedClass">;
def NN_Numeric : NN_Domain<"kFloatClass | kSignedClass | kUnsignedClass">;
def NN_Bits : NN_Domain<"kSignedClass | kUnsignedClass | kBoolClass">;
def NN_AnyElement
    : NN_Domain<"kFloatClass | kSignedClass | kUnsignedClass | kBoolClass | kStringClass">;

class NN_ElementwiseOp<string mnemonic, string onnxName, NN_Domain domain, list<string> argNames,
                       string emit, string eval, list<NN_Param> params, string resultElement,
                       list<Trait> traits = []>
    : NN_Op<mnemonic, traits # [DeclareOpInterfaceMethods<NN_ElementwiseOpInterface, ["info", "getParams"]>]> {
  let results = (outs NN_Tensor:$result);

  defvar argDecls = !interleave(
      !foreach(i, !range(!size(argNames)), "[[maybe_unused]] auto " # argNames[i] # " = args[" # i # "];"), " ");
  defvar paramDecls = !interleave(
      !foreach(i, !range(!size(params)), "[[maybe_unused]] double " # params[i].name # " = params[" # i # "];"), " ");
  defvar paramRows = !interleave(
      !foreach(p, params, "{\"" # p.name # "\", " # p.default # "}"), ", ");
  defvar paramReads = !interleave(
      !foreach(p, params, "(*this)->getAttrOfType<::mlir::FloatAttr>(\"" # p.name # "\").getValueAsDouble()"), ", ");

  let extraClassDeclaration = [{
    ::quern::nn::FusionKind getFusionKind() { return ::quern::nn::FusionKind::Elementwise; }
    ::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Agnostic; }
    static ::mlir::Value emitScalar(::quern::nn::ScalarEmitter &e, ::mlir::ValueRange args,
                                    ::llvm::ArrayRef<double> params);
    template <typename T> static auto evalScalar(const T *args, const double *params);
  }];
  let extraClassDefinition = [{
    ::mlir::Value $cppClass::emitScalar(::quern::nn::ScalarEmitter &e, ::mlir::ValueRange args,
                                        ::llvm::ArrayRef<double> params) {
      }] # argDecls # " " # paramDecls # emit # [{
    }
    template <typename T>
    auto $cppClass::evalScalar(const T *args, [[maybe_unused]] const double *params) {
      }] # argDecls # " " # paramDecls # eval # [{
    }
    const ::quern::nn::ElementwiseInfo &$cppClass::info() {
      static const std::array<::quern::nn::ElementwiseParam, }] # !size(params) # [{> params = {{}] # paramRows # [{}};
      static const ::quern::nn::ElementwiseInfo row = {
          $cppClass::getOperationName(), "}] # onnxName # [{", }] # !size(argNames) # [{,
          ::quern::nn::ResultElement::}] # resultElement # ", " # domain.classes # [{, params, &$cppClass::emitScalar,
          makeScalarFunctions<$cppClass, }] # !size(argNames) # ", " # domain.classes # [{>()};
      return row;
    }
    ::llvm::SmallVector<double> $cppClass::getParams() { return {}] # paramReads # [{}; }
    ::quern::nn::InferredTypes $cppClass::inferResultTypes(const ::quern::nn::ShapeFacts &facts) {
      return ::quern::nn::detail::inferElementwiseTypes(*this, info(), facts);
    }
  }];
}

class NN_UnaryOp<string mnemonic, string onnxName, NN_Domain domain, string emit, string eval,
                 string resultElement = "Same", list<Trait> traits = []>
    : NN_ElementwiseOp<mnemonic, onnxName, domain, ["x"], emit, eval, [], resultElement, traits> {
  let arguments = (ins NN_Tensor:$x);
}

class NN_BinaryOp<string mnemonic, string onnxName, NN_Domain domain, string emit, string eval,
                  string resultElement = "Same", list<Trait> traits = []>
    : NN_ElementwiseOp<mnemonic, onnxName, domain, ["a", "b"], emit, eval, [], resultElement,
                       traits> {
  let arguments = (ins NN_Tensor:$a, NN_Tensor:$b);
}

/// A unary op on floats that emitter and C++ know by the same name.
class NN_MathOp<string mnemonic, string onnxName, list<Trait> traits = []>
    : NN_UnaryOp<mnemonic, onnxName, NN_Float, "return e." # mnemonic # "(x);",
                 "return std::" # mnemonic # "(x);", "Same", traits>;

/// A unary op on floats with one float parameter, `alpha`.
class NN_UnaryAlphaOp<string mnemonic, string onnxName, string default, string emit, string eval,
                      list<Trait> traits = []>
    : NN_ElementwiseOp<mnemonic, onnxName, NN_Float, ["x"], emit, eval,
                       [NN_Param<"alpha", default>], "Same", traits> {
  let arguments = (ins NN_Tensor:$x, F64Attr:$alpha);
}

/// A unary op on floats with two float parameters.
class NN_UnaryTwoParamOp<string mnemonic, string onnxName, NN_Param first, NN_Param second,
                         string emit, string eval, string resultElement = "Same">
    : NN_ElementwiseOp<mnemonic, onnxName, NN_Float, ["x"], emit, eval, [first, second],
                       resultElement> {
  let arguments = !con((ins NN_Tensor:$x),
                       !dag(ins, [F64Attr, F64Attr], [first.name, second.name]));
}

/// An op whose first operand is bool, whatever the type of the others.
class NN_TernaryOp<string mnemonic, string onnxName, NN_Domain domain, string emit, string eval>
    : NN_ElementwiseOp<mnemonic, onnxName, domain, ["condition", "a", "b"], emit, eval, [],
                       "Same"> {
  let arguments = (ins NN_Tensor:$condition, NN_Tensor:$a, NN_Tensor:$b);
}

#endif // QUERN_IR_ELEMENTWISEBASE_TD
