//===- Executable.cpp - a compiled model ----------------------------------===//
#include "quern/Executable.h"

#include "runtime/plan/Plan.h"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>

using namespace quern;

/// Plans by input dims, most recently used first.
struct Executable::PlanCache {
  using Key = std::vector<Tensor::Dims>;
  struct Entry {
    Key key;
    std::shared_ptr<const Plan> plan;
  };

  /// The kept plan, or null.
  std::shared_ptr<const Plan> find(std::span<const Tensor::Dims> dims) {
    std::lock_guard lock(mutex);
    auto at = std::find_if(entries.begin(), entries.end(), [&](const Entry &entry) {
      return std::equal(entry.key.begin(), entry.key.end(), dims.begin(), dims.end());
    });
    if (at == entries.end())
      return nullptr;
    entries.splice(entries.begin(), entries, at);
    return at->plan;
  }

  void insert(std::span<const Tensor::Dims> dims, std::shared_ptr<const Plan> plan) {
    std::lock_guard lock(mutex);
    entries.push_front({Key(dims.begin(), dims.end()), std::move(plan)});
    if (entries.size() > capacity)
      entries.pop_back();
  }

  size_t capacity;
  std::mutex mutex;
  std::list<Entry> entries;
  /// Held while planning, so that threads that want the same plan make one.
  std::mutex planning;
};

std::string PortSignature::describe() const {
  return std::string(dtypeName(dtype)) + " " + (ranked ? shape.str() : "of any shape");
}

Executable::Executable(std::vector<PortSignature> inputs, std::vector<PortSignature> outputs,
                       Planner planner, size_t planCapacity)
    : inputPorts(std::move(inputs)), outputPorts(std::move(outputs)), planner(std::move(planner)),
      cache(std::make_unique<PlanCache>()) {
  cache->capacity = std::max<size_t>(planCapacity, 1);
}

Executable::~Executable() = default;

/// "input 'x': wanted float32 Nx3, found float32 2x4".
static Status mismatch(const PortSignature &port, const std::string &wanted,
                       const std::string &found) {
  return invalidInput("input '" + port.name + "': wanted " + wanted + ", found " + found);
}

static Status wrongCount(std::span<const PortSignature> ports, size_t found) {
  std::string names;
  for (const PortSignature &port : ports)
    names += (names.empty() ? "" : ", ") + port.name;
  return invalidInput("wanted " + std::to_string(ports.size()) + " inputs (" + names + "), found " +
                      std::to_string(found));
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
    const Dim &wanted = port.shape[d];
    if (wanted.isStatic() && !wanted.isStatic(dims[d]))
      return mismatch(port, "shape " + port.shape.str(), formatDims(dims));
    if (!wanted.isSymbolic())
      continue;
    auto [bound, isNew] = symbols.try_emplace(wanted.symbolName(), BoundSymbol{dims[d], &port});
    if (!isNew && bound->second.size != dims[d])
      return mismatch(port,
                      "shape " + port.shape.str() + " with " + wanted.symbolName() + " = " +
                          std::to_string(bound->second.size) + " as in input '" +
                          bound->second.port->name + "'",
                      formatDims(dims));
  }
  return Status::ok();
}

Status quern::checkInputDims(std::span<const PortSignature> ports,
                             std::span<const Tensor::Dims> dims) {
  if (dims.size() != ports.size())
    return wrongCount(ports, dims.size());
  SymbolSizes symbols;
  for (size_t i = 0; i < dims.size(); ++i)
    QUERN_TRY(checkDims(ports[i], dims[i], symbols));
  return Status::ok();
}

Status quern::checkInputs(std::span<const PortSignature> ports, std::span<const Tensor> tensors) {
  if (tensors.size() != ports.size())
    return wrongCount(ports, tensors.size());
  std::vector<Tensor::Dims> dims;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor &tensor = tensors[i];
    if (!tensor.isPresent())
      return mismatch(ports[i], ports[i].describe(), "no tensor");
    if (tensor.dtype() != ports[i].dtype)
      return mismatch(ports[i], ports[i].describe(), tensor.describe());
    dims.push_back(tensor.dims());
  }
  return checkInputDims(ports, dims);
}

Expected<std::shared_ptr<const Plan>> Executable::planFor(std::span<const Tensor::Dims> inputDims,
                                                          const Deadline &deadline) const {
  if (auto plan = cache->find(inputDims))
    return plan;
  QUERN_TRY(checkInputDims(inputPorts, inputDims));
  std::lock_guard lock(cache->planning);
  if (auto plan = cache->find(inputDims))
    return plan;
  QUERN_ASSIGN(std::shared_ptr<const Plan> plan, planner(inputDims, deadline));
  cache->insert(inputDims, plan);
  return plan;
}
