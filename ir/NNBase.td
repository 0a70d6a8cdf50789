//===- NNBase.td - dialect, types, interfaces and op base classes ---------===//
#ifndef QUERN_IR_NNBASE_TD
#define QUERN_IR_NNBASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/TensorEncoding.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "ir/NNInterfaces.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::quern::nn";
  let summary = "Neural-network graphs on tensors in SSA form";
  let description = [{
    A lean core opset that ONNX is imported into. Operands that ONNX leaves out
    are `nn.none` values, so that operand positions are fixed. Weights are
    references into the WeightStore of the context, never attributes.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = [{
    /// The weights that `nn.weight` ops of this context refer to.
    WeightStore &getWeights() { return *weights; }
    /// The symbols that sizes in types are written with.
    SymbolNames &getSymbols() { return symbols; }
  private:
    std::shared_ptr<WeightStore> weights;
    SymbolNames symbols;

    // Each in the file of its family: what MLIR makes of an op is the most of compiling it.
    void registerAttentionOps();
    void registerContractionOps();
    void registerControlFlowOps();
    void registerConvOps();
    void registerDataMovementOps();
    void registerElementwiseOps();
    void registerGatherOps();
    void registerImageOps();
    void registerLabelOps();
    void registerLinearAlgebraOps();
    void registerNormalizationOps();
    void registerOutlinedOps();
    void registerPoolOps();
    void registerQuantOps();
    void registerRandomOps();
    void registerRecurrentOps();
    void registerReductionOps();
    void registerSelectionOps();
    void registerSequenceOps();
    void registerSignalOps();
    void registerStructureOps();
    void registerTextOps();
    void registerTreeOps();
    void registerVisionOps();
  public:
  }];
}

//===----------------------------------------------------------------------===//
// Attributes and types
//===----------------------------------------------------------------------===//

def NN_DimsAttr
    : AttrDef<NN_Dialect, "Dims", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let mnemonic = "dims";
  let summary = "the sizes of the symbolic dimensions of a tensor type, one per dimension";
  let description = [{
    The encoding of a ranked tensor type: `tensor<?x3x?xf32, #nn.dims<"N", "", ("N" * 2)>>`.
    Symbols are quoted names. An empty one (a null expression) stands for a static or
    an unknown dimension.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::AffineExpr">:$exprs);
  let hasCustomAssemblyFormat = 1;
}

def NN_BlockedAttr
    : AttrDef<NN_Dialect, "Blocked", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let mnemonic = "blocked";
  let summary = "the layout of a tensor whose channels lie in blocks";
  let description = [{
    The encoding of a ranked tensor type [N, C/size, spatial..., size]: dimension 1 counts
    blocks of channels, the last one the channels in a block; the last block may end in
    padding. `tensor<1x2x56x56x16xf32, #nn.blocked<16>>`, and with names of sizes
    `tensor<?x2x56x56x16xf32, #nn.blocked<16, dims = <"N", "", "", "", "">>>`. Tensors
    without it are row-major.
  }];
  let parameters = (ins "int64_t":$size, OptionalParameter<"::quern::nn::DimsAttr">:$dims);
  let assemblyFormat = "`<` $size (`,` `dims` `=` $dims^)? `>`";
}

def NN_StringType : TypeDef<NN_Dialect, "String"> {
  let mnemonic = "string";
  let summary = "element type of ONNX string tensors";
}

def NN_DTypeParameter : TypeParameter<"::quern::DType", "an element type"> {
  let parser = "::quern::nn::detail::parseDType($_parser)";
  let printer = "$_printer << ::quern::dtypeName($_self)";
}
def NN_MiniFloatType : TypeDef<NN_Dialect, "MiniFloat"> {
  let mnemonic = "float";
  let summary = "element type: a float that MLIR has none for, as `!nn.float<float4e2m1>`";
  let parameters = (ins NN_DTypeParameter:$dtype);
  let assemblyFormat = "`<` $dtype `>`";
  let genVerifyDecl = 1;
}

// Nested types hold tensor types or nested types again: see isValueType in ir/Types.h.

def NN_SequenceType : TypeDef<NN_Dialect, "Sequence"> {
  let mnemonic = "sequence";
  let summary = "any number of values of one type";
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
  let genVerifyDecl = 1;
}

def NN_OptionalType : TypeDef<NN_Dialect, "Optional"> {
  let mnemonic = "optional";
  let summary = "one value, or none";
  let parameters = (ins "::mlir::Type":$contentType);
  let assemblyFormat = "`<` $contentType `>`";
  let genVerifyDecl = 1;
}

def NN_MapType : TypeDef<NN_Dialect, "Map"> {
  let mnemonic = "map";
  let summary = "values of one type by keys, which are i64 or strings";
  let parameters = (ins "::mlir::Type":$keyType, "::mlir::Type":$valueType);
  let assemblyFormat = "`<` $keyType `,` $valueType `>`";
  let genVerifyDecl = 1;
}

/// A signed integer: I64Attr would be read as an unsigned one, below which nothing is.
def NN_IntAttr : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer">;
/// A dimension; negative counts from the end (see AxisOpInterface).
def NN_AxisAttr : TypedSignlessIntegerAttrBase<I64, "int64_t", "dimension">;

class NN_EnumParameter<string type> : AttrParameter<type, "a value of " # type> {
  let parser = "::quern::nn::detail::parseEnum<" # type # ">($_parser)";
  let printer = "$_printer << ::quern::nameOf($_self)";
}
/// A value of an enumeration of runtime/reference/Enumerations.h, which has the only
/// list of its values and their names. `#nn<reduce_kind sum>`, in an op's format `sum`.
class NN_EnumAttr<string enumeration, string mnemonic_>
    : AttrDef<NN_Dialect, enumeration> {
  let mnemonic = mnemonic_;
  let parameters = (ins NN_EnumParameter<"::quern::" # enumeration>:$value);
  let assemblyFormat = "$value";
  let returnType = "::quern::" # enumeration;
  let convertFromStorage = "$_self.getValue()";
  let constBuilderCall = "::quern::nn::" # enumeration # "Attr::get($_builder.getContext(), $0)";
}
def NN_AutoPadAttr : NN_EnumAttr<"AutoPad", "auto_pad">;
def NN_ReduceKindAttr : NN_EnumAttr<"ReduceKind", "reduce_kind">;
def NN_PadModeAttr : NN_EnumAttr<"PadMode", "pad_mode">;
def NN_ResizeModeAttr : NN_EnumAttr<"ResizeMode", "resize_mode">;
def NN_ResizeCoordinatesAttr : NN_EnumAttr<"ResizeCoordinates", "resize_coordinates">;
def NN_NearestModeAttr : NN_EnumAttr<"NearestMode", "nearest_mode">;
def NN_CastRoundingAttr : NN_EnumAttr<"CastRounding", "cast_rounding">;
def NN_ScatterReductionAttr : NN_EnumAttr<"ScatterReduction", "scatter_reduction">;

/// `auto_pad` of an op with a window: its padding where shapes did not tell yet.
def NN_DefaultAutoPad : DefaultValuedAttr<NN_AutoPadAttr, "::quern::AutoPad::NotSet">;

/// Any ranked or unranked tensor.
def NN_Tensor : AnyTypeOf<[AnyRankedTensor, AnyUnrankedTensor]>;
/// Whatever a graph computes.
def NN_Value : AnyTypeOf<[AnyRankedTensor, AnyUnrankedTensor, NN_SequenceType, NN_OptionalType,
                          NN_MapType], "tensor, sequence, optional or map">;
/// A tensor operand that may be left out (`nn.none`).
def NN_OptionalTensor : AnyTypeOf<[AnyRankedTensor, AnyUnrankedTensor, NoneType]>;

/// Native code exists for float32 and float64 only: WidenFloat16 computes the op
/// in float32 and rounds its results to their half type.
def NN_WideFloatsOnly : NativeOpTrait<"WideFloatsOnly"> {
  let cppNamespace = "::quern::nn";
}

/// Most of its work is sums of products, which factors of a narrower type make cheaper.
def NN_SumsProducts : NativeOpTrait<"SumsProducts"> {
  let cppNamespace = "::quern::nn";
}

/// Its results consist of elements of those operands that have their element type, chosen by their
/// place or as the largest, and of what is beyond edges. So rounding can come before it as well as
/// after it.
def NN_CommutesWithRounding : NativeOpTrait<"CommutesWithRounding"> {
  let cppNamespace = "::quern::nn";
}

/// A result may change by much when an operand changes by little.
def NN_AmplifiesErrors : NativeOpTrait<"AmplifiesErrors"> {
  let cppNamespace = "::quern::nn";
}

class NN_Op<string mnemonic, list<Trait> traits = []>
    : Op<NN_Dialect, mnemonic, traits # [DeclareOpInterfaceMethods<NN_GraphOpInterface>, Pure]> {
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
}

/// What an op declares that takes tensors in any layout, as their types say.
def NN_Blockable {
  code declaration = "::quern::nn::LayoutKind getLayoutKind() { return ::quern::nn::LayoutKind::Blockable; }";
}

/// An op with `auto_pad`.
class NN_WindowOp<string mnemonic, list<Trait> traits = []>
    : NN_Op<mnemonic, traits # [NN_WideFloatsOnly]> {
  let assemblyFormat = [{
    operands (`auto_pad` `=` `` $auto_pad^)? attr-dict `:` functional-type(operands, results)
  }];
}

#endif // QUERN_IR_NNBASE_TD
