//===- SpecializeInputs.cpp - static shapes for the inputs of @main -------===//
//
// Only argument types change; InferShapes carries them through the graph.
//
//===----------------------------------------------------------------------===//
#include "passes/SpecializeInputs.h"

#include "ir/NNDialect.h"
#include "ir/Signature.h"
#include "ir/Types.h"
#include "passes/Passes.h"

#include <fmt/format.h>
#include <string_view>
#include <unordered_set>

using namespace mlir;
using namespace quern;
using namespace quern::nn;
using namespace quern::passes;

namespace quern::passes {
#define GEN_PASS_DEF_SPECIALIZEINPUTSPASS
#include "passes/Passes.h.inc"
} // namespace quern::passes

namespace {
/// The size of a symbol and the input (or request) it comes from.
struct Binding {
  int64_t size;
  std::string origin;
};
using Bindings = std::map<std::string, Binding>;

Status contradiction(const std::string &input, int64_t dim, const std::string &why) {
  return invalidInput(fmt::format("input '{}': dimension {} {}", input, dim, why));
}

/// Binds `dim` to `size`, or says why it cannot have that size.
Status bindDim(const std::string &input, int64_t position, const Dim &dim, int64_t size,
               Bindings &bindings) {
  if (size < 0)
    return contradiction(input, position, fmt::format("must not be negative, found {}", size));
  if (dim.isStatic() && dim.size() != size)
    return contradiction(input, position,
                         fmt::format("is {} in the model, found {}", dim.str(), size));
  if (!dim.isSymbolic())
    return Status::ok();
  auto [it, isNew] = bindings.try_emplace(dim.str(), Binding{size, "input '" + input + "'"});
  if (!isNew && it->second.size != size)
    return contradiction(input, position,
                         fmt::format("('{}') is {} by {}, found {}", dim.str(), it->second.size,
                                     it->second.origin, size));
  return Status::ok();
}

/// The shape of one input with the sizes requested for it by name.
Status applyShape(const std::string &input, const std::vector<int64_t> &sizes, Type type,
                  std::optional<Shape> &shape, Bindings &bindings) {
  if (!isa<TensorType>(type))
    return invalidInput("input '" + input + "' is not a tensor and has no shape");
  if (!shape) {
    shape = Shape::fromSizes(sizes);
    return Status::ok();
  }
  if (shape->rank() != static_cast<int64_t>(sizes.size()))
    return invalidInput(fmt::format("input '{}' has rank {} ({}), found {}", input, shape->rank(),
                                    shape->str(), formatDims(sizes)));
  for (int64_t i = 0; i < shape->rank(); ++i) {
    QUERN_TRY(bindDim(input, i, (*shape)[i], sizes[i], bindings));
    (*shape)[i] = Dim(sizes[i]);
  }
  return Status::ok();
}

std::string listOf(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

/// The first key of `wanted` that is not among `names`.
template <typename Map>
std::optional<std::string> missingKey(const Map &wanted, const std::vector<std::string> &names) {
  std::unordered_set<std::string_view> known(names.begin(), names.end());
  for (const auto &[key, value] : wanted)
    if (!known.count(key))
      return key;
  return std::nullopt;
}

/// Sets argument types and the function's type.
void setArgumentTypes(func::FuncOp main, ArrayRef<Type> types) {
  for (auto [argument, type] : llvm::zip(main.getArguments(), types))
    argument.setType(type);
  main.setFunctionType(FunctionType::get(main.getContext(), types, main.getResultTypes()));
}
} // namespace

/// Gives arguments `shapes`, those without a request as they are, and binds symbols in them.
static void setShapes(func::FuncOp main, std::vector<std::optional<Shape>> shapes,
                      const Bindings &bindings) {
  SmallVector<Type> types;
  for (auto [argument, shape] : llvm::zip(main.getArguments(), shapes)) {
    Type type = argument.getType();
    if (shape) {
      for (int64_t i = 0; i < shape->rank(); ++i)
        if (auto it = bindings.find((*shape)[i].str());
            (*shape)[i].isSymbolic() && it != bindings.end())
          (*shape)[i] = Dim(it->second.size);
      type = tensorType(*shape, elementTypeOf(type), layoutOf(type));
    }
    types.push_back(type);
  }
  setArgumentTypes(main, types);
}

Status passes::specializeInputs(func::FuncOp main, const InputSizes &sizes) {
  Bindings bindings;
  for (const auto &[symbol, size] : sizes.dims) {
    if (size < 0)
      return invalidInput(
          fmt::format("dimension '{}' must not be negative, found {}", symbol, size));
    bindings[symbol] = {size, "the given dimensions"};
  }

  std::vector<std::optional<Shape>> shapes;
  std::vector<std::string> names;
  std::vector<std::string> symbols;
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    Type type = main.getArgument(i).getType();
    names.push_back(inputName(main, i));
    shapes.push_back(shapeOf(type));
    if (shapes.back())
      for (const Dim &dim : shapes.back()->dims())
        if (dim.isSymbolic())
          symbols.push_back(dim.str());
    auto request = sizes.shapes.find(names.back());
    if (request != sizes.shapes.end())
      QUERN_TRY(applyShape(names.back(), request->second, type, shapes.back(), bindings));
  }
  if (auto name = missingKey(sizes.shapes, names))
    return invalidInput("no input is named '" + *name + "'; the inputs are " + listOf(names));
  if (auto symbol = missingKey(sizes.dims, symbols))
    return invalidInput("no input has a dimension '" + *symbol + "'; the dimensions are " +
                        listOf(symbols));
  setShapes(main, std::move(shapes), bindings);
  return Status::ok();
}

Status passes::specializeInputs(func::FuncOp main,
                                ArrayRef<std::optional<std::vector<int64_t>>> sizes) {
  Bindings bindings;
  std::vector<std::optional<Shape>> shapes;
  for (auto [i, argument] : llvm::enumerate(main.getArguments())) {
    shapes.push_back(shapeOf(argument.getType()));
    if (sizes[i])
      QUERN_TRY(
          applyShape(inputName(main, i), *sizes[i], argument.getType(), shapes.back(), bindings));
  }
  setShapes(main, std::move(shapes), bindings);
  return Status::ok();
}

namespace {
/// "1x3x224" or "scalar".
Expected<std::vector<int64_t>> parseSizes(StringRef text) {
  std::vector<int64_t> sizes;
  if (text == "scalar")
    return sizes;
  SmallVector<StringRef> parts;
  text.split(parts, 'x');
  for (StringRef part : parts) {
    int64_t size = 0;
    if (part.getAsInteger(10, size))
      return invalidInput("'" + text.str() + "' is not a shape like 1x3x224x224");
    sizes.push_back(size);
  }
  return sizes;
}

struct SpecializeInputsPass : passes::impl::SpecializeInputsPassBase<SpecializeInputsPass> {
  using SpecializeInputsPassBase::SpecializeInputsPassBase;

  void runOnOperation() override {
    func::FuncOp main = findMain(getOperation());
    if (!main) {
      getOperation().emitError("has no function @main");
      return signalPassFailure();
    }
    Status status = specialize(main);
    if (status.isOk())
      return;
    main.emitError(status.message());
    signalPassFailure();
  }

private:
  Status specialize(func::FuncOp main) {
    InputSizes sizes;
    for (StringRef entry : shapes) {
      auto [name, text] = entry.rsplit('=');
      QUERN_ASSIGN(sizes.shapes[name.str()], parseSizes(text));
    }
    for (StringRef entry : dims) {
      auto [name, text] = entry.rsplit('=');
      if (text.getAsInteger(10, sizes.dims[name.str()]))
        return invalidInput("'" + entry.str() + "' is not a dimension like N=1");
    }
    return specializeInputs(main, sizes);
  }
};
} // namespace
