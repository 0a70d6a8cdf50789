//===- PortSignature.cpp - the inputs and outputs of a model --------------===//
#include "quern/PortSignature.h"

#include <fmt/format.h>

#include <map>

using namespace quern;

/// "input 'x': wanted float32 Nx3, found float32 2x4".
static Status mismatch(const PortSignature &port, const std::string &wanted,
                       const std::string &found) {
  return invalidInput("input '" + port.name + "': wanted " + wanted + ", found " + found);
}

static Status wrongCount(std::span<const PortSignature> ports, size_t found) {
  std::string names;
  for (const PortSignature &port : ports)
    names += (names.empty() ? "" : ", ") + port.name;
  return invalidInput(fmt::format("wanted {} inputs ({}), found {}", ports.size(), names, found));
}

namespace {
/// The sizes that symbols stand for, and the input that said so first.
struct BoundSymbol {
  int64_t size;
  const PortSignature *port;
};
using SymbolSizes = std::map<std::string, BoundSymbol>;
} // namespace

static Status checkDims(const PortSignature &port, const Tensor::Dims &dims, SymbolSizes &symbols) {
  for (int64_t size : dims)
    if (size < 0)
      return mismatch(port, "shape " + port.shape.str(), formatDims(dims));
  if (!port.ranked)
    return Status::ok();
  if (static_cast<int64_t>(dims.size()) != port.shape.rank())
    return mismatch(port, "shape " + port.shape.str(), formatDims(dims));
  for (int64_t d = 0; d < port.shape.rank(); ++d) {
    const PortDim &wanted = port.shape[d];
    if (wanted.isStatic() && !wanted.isStatic(dims[d]))
      return mismatch(port, "shape " + port.shape.str(), formatDims(dims));
    if (!wanted.isSymbolic())
      continue;
    auto [bound, isNew] = symbols.try_emplace(wanted.symbolName(), BoundSymbol{dims[d], &port});
    if (!isNew && bound->second.size != dims[d])
      return mismatch(port,
                      fmt::format("shape {} with {} = {} as in input '{}'", port.shape.str(),
                                  wanted.symbolName(), bound->second.size,
                                  bound->second.port->name),
                      formatDims(dims));
  }
  return Status::ok();
}

std::vector<Tensor::Dims> quern::dimsOf(ValueList values) {
  std::vector<Tensor::Dims> dims(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    if (const Tensor *tensor = values.asTensor(i))
      dims[i] = tensor->dims();
  return dims;
}

Status quern::checkInputDims(std::span<const PortSignature> ports,
                             std::span<const Tensor::Dims> dims) {
  if (dims.size() != ports.size())
    return wrongCount(ports, dims.size());
  SymbolSizes symbols;
  for (size_t i = 0; i < dims.size(); ++i)
    if (ports[i].isTensor())
      QUERN_TRY(checkDims(ports[i], dims[i], symbols));
  return Status::ok();
}

Status quern::checkInputs(std::span<const PortSignature> ports, ValueList values) {
  if (values.size() != ports.size())
    return wrongCount(ports, values.size());
  std::vector<Tensor::Dims> dims(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const PortSignature &port = ports[i];
    const Tensor *tensor = values.asTensor(i);
    if (tensor && port.isTensor() && tensor->dtype() == port.dtype)
      dims[i] = tensor->dims();
    else if (tensor && !tensor->isPresent())
      return mismatch(port, port.describe(), "no tensor");
    else if (!values[i].fits(port))
      return mismatch(port, port.describe(), values[i].describe());
  }
  return checkInputDims(ports, dims);
}
