//===- Signature.cpp - inputs and outputs of a graph ----------------------===//
#include "ir/Signature.h"

#include "ir/Types.h"

#include <fmt/format.h>

using namespace mlir;
using namespace quern;

func::FuncOp nn::findMain(ModuleOp module) { return module.lookupSymbol<func::FuncOp>("main"); }

std::string nn::inputName(func::FuncOp main, unsigned index) {
  if (auto name = main.getArgAttrOfType<StringAttr>(index, "nn.name"))
    return name.str();
  if (auto loc = dyn_cast<NameLoc>(main.getArgument(index).getLoc()))
    return loc.getName().str();
  return fmt::format("input{}", index);
}

std::string nn::outputName(func::FuncOp main, unsigned index) {
  if (auto name = main.getResultAttrOfType<StringAttr>(index, "nn.name"))
    return name.str();
  return fmt::format("output{}", index);
}

std::vector<PortSignature> nn::inputSignature(func::FuncOp main) {
  std::vector<PortSignature> ports;
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes()))
    ports.emplace_back(inputName(main, i), valueTypeOf(type));
  return ports;
}

std::vector<PortSignature> nn::outputSignature(func::FuncOp main) {
  std::vector<PortSignature> ports;
  for (auto [i, type] : llvm::enumerate(main.getResultTypes()))
    ports.emplace_back(outputName(main, i), valueTypeOf(type));
  return ports;
}

Status nn::requireTensorPorts(func::FuncOp main) {
  for (const auto &[kind, ports] :
       {std::pair("input", inputSignature(main)), std::pair("output", outputSignature(main))})
    for (const PortSignature &port : ports)
      if (!port.isTensor())
        return unsupported(
            fmt::format("{} '{}' is no tensor: {}", kind, port.name, port.describe()));
  return Status::ok();
}
