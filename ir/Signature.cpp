//===- Signature.cpp - inputs and outputs of a graph ----------------------===//
#include "ir/Signature.h"

#include "ir/Types.h"

using namespace mlir;
using namespace quern;

func::FuncOp nn::findMain(ModuleOp module) { return module.lookupSymbol<func::FuncOp>("main"); }

/// Symbols and expressions by their text, but for those that the compiler made.
static PortShape portShape(const nn::Shape &shape) {
  std::vector<PortDim> dims;
  for (const nn::Dim &d : shape.dims())
    dims.push_back(d.isStatic()
                       ? PortDim(d.size())
                       : PortDim::symbol(d.isSymbolic() && !d.hasFreshSymbol() ? d.str() : ""));
  return PortShape(std::move(dims));
}

static PortSignature signatureOf(Type type, std::string name) {
  PortSignature port;
  port.name = std::move(name);
  if (auto tensor = dyn_cast<TensorType>(type))
    port.dtype = nn::dtypeOf(tensor.getElementType());
  std::optional<nn::Shape> shape = nn::shapeOf(type);
  port.ranked = shape.has_value();
  if (shape)
    port.shape = portShape(*shape);
  return port;
}

std::string nn::inputName(func::FuncOp main, unsigned index) {
  if (auto name = main.getArgAttrOfType<StringAttr>(index, "nn.name"))
    return name.str();
  if (auto loc = dyn_cast<NameLoc>(main.getArgument(index).getLoc()))
    return loc.getName().str();
  return "input" + std::to_string(index);
}

std::string nn::outputName(func::FuncOp main, unsigned index) {
  if (auto name = main.getResultAttrOfType<StringAttr>(index, "nn.name"))
    return name.str();
  return "output" + std::to_string(index);
}

std::vector<PortSignature> nn::inputSignature(func::FuncOp main) {
  std::vector<PortSignature> ports;
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes()))
    ports.push_back(signatureOf(type, inputName(main, i)));
  return ports;
}

std::vector<PortSignature> nn::outputSignature(func::FuncOp main) {
  std::vector<PortSignature> ports;
  for (auto [i, type] : llvm::enumerate(main.getResultTypes()))
    ports.push_back(signatureOf(type, outputName(main, i)));
  return ports;
}
