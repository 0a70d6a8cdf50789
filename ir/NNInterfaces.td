//===- NNInterfaces.td - what passes and backends ask of an op ------------===//
#ifndef QUERN_IR_NNINTERFACES_TD
#define QUERN_IR_NNINTERFACES_TD

include "mlir/IR/OpBase.td"

def NN_GraphOpInterface : OpInterface<"GraphOpInterface"> {
  let cppNamespace = "::quern::nn";
  let description = [{
    What the passes ask of an op. `inferResultTypes` is both the shape rule and
    the verifier: the declared result types must be compatible with what it returns.
  }];
  let methods = [
    InterfaceMethod<[{
      The most precise result types that `facts`, what is known of the operands, and
      attributes allow. Emits an error on the op and fails when they contradict
      the op's rules. Operands may be unranked; then so may be the result. With
      numbers for facts it makes no MLIR objects, so that threads may share the op.
    }], "::quern::nn::InferredTypes", "inferResultTypes", (ins "const ::quern::nn::ShapeFacts &":$facts)>,
    InterfaceMethod<"How the op takes part in fusion.", "::quern::nn::FusionKind",
      "getFusionKind", (ins), [{}], [{ return ::quern::nn::FusionKind::Opaque; }]>,
    InterfaceMethod<"Whether the op can work on channel-blocked (NCHWc) tensors.",
      "::quern::nn::LayoutKind", "getLayoutKind", (ins), [{}],
      [{ return ::quern::nn::LayoutKind::Plain; }]>,
  ];
  let verify = [{ return ::quern::nn::detail::verifyResultTypes($_op); }];
}

def NN_AxisOpInterface : OpInterface<"AxisOpInterface"> {
  let cppNamespace = "::quern::nn";
  let description = [{
    An op with an attribute `axis`, which in a model may be negative and count from
    the end. Refining an op's types makes it count from the front as soon as the rank
    is known. Where only a run tells the rank, it stays negative: plans and lowerings ask
    ShapeEnvironment::axisOf.
  }];
  let methods = [
    InterfaceMethod<"The dimension; negative counts from the end.", "int64_t", "getAxis">,
    InterfaceMethod<"Sets the dimension.", "void", "setAxis", (ins "int64_t":$axis)>,
    InterfaceMethod<"The rank that the axis counts in; nullopt while it is unknown.",
      "::std::optional<int64_t>", "getAxisRank", (ins), [{}], [{
        std::optional<::quern::nn::Shape> shape = ::quern::nn::shapeOf($_op->getOperand(0));
        return shape ? std::optional(shape->rank()) : std::nullopt;
      }]>,
  ];
}

def NN_ElementwiseOpInterface : OpInterface<"ElementwiseOpInterface"> {
  let cppNamespace = "::quern::nn";
  let methods = [
    StaticInterfaceMethod<"The row of this op.", "const ::quern::nn::ElementwiseInfo &", "info">,
    InterfaceMethod<"The values of the float parameters, in row order.",
      "::llvm::SmallVector<double>", "getParams">,
  ];
}

#endif // QUERN_IR_NNINTERFACES_TD
