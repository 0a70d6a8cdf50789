//===- Signature.cpp - inputs and outputs of a graph ----------------------===//
#include "ir/Signature.h"

#include "ir/Types.h"

using namespace mlir;
using namespace quern;

static PortSignature signatureOf(Type type, Attribute name, const std::string &otherwise) {
  PortSignature port;
  auto given = dyn_cast_if_present<StringAttr>(name);
  port.name = given ? given.str() : otherwise;
  if (auto tensor = dyn_cast<TensorType>(type))
    port.dtype = nn::dtypeOf(tensor.getElementType());
  std::optional<Shape> shape = nn::shapeOf(type);
  port.ranked = shape.has_value();
  if (shape)
    port.shape = *shape;
  return port;
}

std::vector<PortSignature> nn::inputSignature(func::FuncOp main) {
  std::vector<PortSignature> ports;
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes()))
    ports.push_back(signatureOf(type, main.getArgAttr(i, "nn.name"), "input" + std::to_string(i)));
  return ports;
}

std::vector<PortSignature> nn::outputSignature(func::FuncOp main) {
  std::vector<PortSignature> ports;
  for (auto [i, type] : llvm::enumerate(main.getResultTypes()))
    ports.push_back(
        signatureOf(type, main.getResultAttr(i, "nn.name"), "output" + std::to_string(i)));
  return ports;
}
