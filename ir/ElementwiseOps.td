//===- ElementwiseOps.td - one row per elementwise op ---------------------===//
//
// A row gives the ONNX name, the element types, the scalar code generator
// (`emit`, against ScalarEmitter `e`) and the scalar reference (`eval`, plain
// C++ on T = double, int64_t, uint64_t or bool). Importer, shape inference,
// fusion, emission, folding and interpreter follow from the row.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_IR_ELEMENTWISEOPS_TD
#define QUERN_IR_ELEMENTWISEOPS_TD

include "ir/NNBase.td"

/// A float parameter (attribute) of an elementwise op and its ONNX default.
class NN_Param<string name_, string default_> {
  string name = name_;
  string default = default_;
}

/// Which C++ types `eval` is instantiated for.
class NN_Domain<string cpp> { string classes = cpp; }
def NN_Float : NN_Domain<"kFloatClass">;
def NN_Integer : NN_Domain<"kSignedClass | kUnsignedClass">;
def NN_Numeric : NN_Domain<"kFloatClass | kSignedClass | kUnsignedClass">;
def NN_Boolean : NN_Domain<"kBoolClass">;
def NN_AnyElement : NN_Domain<"kFloatClass | kSignedClass | kUnsignedClass | kBoolClass">;

class NN_ElementwiseOp<string mnemonic, string onnxName, NN_Domain domain, list<string> argNames,
                       string emit, string eval, list<NN_Param> params, string resultElement>
    : NN_Op<mnemonic, [DeclareOpInterfaceMethods<NN_ElementwiseOpInterface, ["info", "getParams"]>]> {
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
                                    ::llvm::ArrayRef<double> params) {
      }] # argDecls # " " # paramDecls # emit # [{
    }
    template <typename T> static auto evalScalar(const T *args, [[maybe_unused]] const double *params) {
      }] # argDecls # " " # paramDecls # eval # [{
    }
  }];
  let extraClassDefinition = [{
    const ::quern::nn::ElementwiseInfo &$cppClass::info() {
      static const std::array<::quern::nn::ElementwiseParam, }] # !size(params) # [{> params = {{}] # paramRows # [{}};
      static const ::quern::nn::ElementwiseInfo row = {
          $cppClass::getOperationName(), "}] # onnxName # [{", }] # !size(argNames) # [{,
          ::quern::nn::ResultElement::}] # resultElement # [{, params, &$cppClass::emitScalar,
          makeScalarFunctions<$cppClass, }] # !size(argNames) # ", " # domain.classes # [{>()};
      return row;
    }
    ::llvm::SmallVector<double> $cppClass::getParams() { return {}] # paramReads # [{}; }
    ::llvm::FailureOr<::llvm::SmallVector<::mlir::Type>> $cppClass::inferResultTypes() {
      return ::quern::nn::detail::inferElementwiseTypes(*this, info());
    }
  }];
}

class NN_UnaryOp<string mnemonic, string onnxName, NN_Domain domain, string emit, string eval,
                 string resultElement = "Same">
    : NN_ElementwiseOp<mnemonic, onnxName, domain, ["x"], emit, eval, [], resultElement> {
  let arguments = (ins NN_Tensor:$x);
}

class NN_BinaryOp<string mnemonic, string onnxName, NN_Domain domain, string emit, string eval,
                  string resultElement = "Same">
    : NN_ElementwiseOp<mnemonic, onnxName, domain, ["a", "b"], emit, eval, [], resultElement> {
  let arguments = (ins NN_Tensor:$a, NN_Tensor:$b);
}

/// A unary op with one float parameter, `alpha`.
class NN_UnaryAlphaOp<string mnemonic, string onnxName, string default, string emit, string eval>
    : NN_ElementwiseOp<mnemonic, onnxName, NN_Float, ["x"], emit, eval,
                       [NN_Param<"alpha", default>], "Same"> {
  let arguments = (ins NN_Tensor:$x, F64Attr:$alpha);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

def NN_AddOp : NN_BinaryOp<"add", "Add", NN_Numeric,
  [{ return e.add(a, b); }], [{ return a + b; }]>;
def NN_SubOp : NN_BinaryOp<"sub", "Sub", NN_Numeric,
  [{ return e.sub(a, b); }], [{ return a - b; }]>;
def NN_MulOp : NN_BinaryOp<"mul", "Mul", NN_Numeric,
  [{ return e.mul(a, b); }], [{ return a * b; }]>;
// Integer division by zero gives 0, the smallest integer by -1 gives itself.
def NN_DivOp : NN_BinaryOp<"div", "Div", NN_Numeric,
  [{ return e.div(a, b); }], [{ return scalar::div(a, b); }]>;
def NN_MinOp : NN_BinaryOp<"min", "Min", NN_Numeric,
  [{ return e.min(a, b); }], [{ return a != a ? a : (b != b || b < a) ? b : a; }]>;
def NN_MaxOp : NN_BinaryOp<"max", "Max", NN_Numeric,
  [{ return e.max(a, b); }], [{ return a != a ? a : (b != b || b > a) ? b : a; }]>;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

def NN_ReluOp : NN_UnaryOp<"relu", "Relu", NN_Numeric,
  [{ return e.max(x, e.constant(0)); }], [{ return x < T(0) ? T(0) : x; }]>;
def NN_LeakyReluOp : NN_UnaryAlphaOp<"leaky_relu", "LeakyRelu", "0.01",
  [{ return e.select(e.less(x, e.constant(0)), e.mul(x, e.constant(alpha)), x); }],
  [{ return x < 0 ? alpha * x : x; }]>;

//===----------------------------------------------------------------------===//
// Comparison and logic
//===----------------------------------------------------------------------===//

def NN_LessOp : NN_BinaryOp<"less", "Less", NN_Numeric,
  [{ return e.less(a, b); }], [{ return a < b; }], "Bool">;

#endif // QUERN_IR_ELEMENTWISEOPS_TD
