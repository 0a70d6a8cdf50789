//===- Ports.cpp - inputs and outputs in reports --------------------------===//
#include "tools/quern/Ports.h"

#include "quern/EscapedText.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

static Json shapeJson(const PortShape &shape) {
  Json dims = Json::array();
  for (const PortDim &dim : shape.dims()) {
    if (dim.isStatic())
      dims.push_back(dim.size());
    else
      dims.push_back(dim.isSymbolic() ? Json(dim.symbolName()) : Json(nullptr));
  }
  return dims;
}

Json cli::portsJson(std::span<const PortSignature> ports) {
  Json array = Json::array();
  for (const PortSignature &port : ports) {
    if (port.isTensor())
      array.push_back({{"name", port.name},
                       {"dtype", dtypeName(port.dtype)},
                       {"shape", port.ranked ? shapeJson(port.shape) : Json(nullptr)}});
    else
      array.push_back({{"name", port.name}, {"type", port.describe()}});
  }
  return array;
}

std::vector<std::string> cli::namesOf(std::span<const PortSignature> ports) {
  std::vector<std::string> names;
  for (const PortSignature &port : ports)
    names.push_back(port.name);
  return names;
}

std::string cli::joinNames(std::span<const PortSignature> ports) {
  return fmt::format("{}", fmt::join(namesOf(ports), ", "));
}

std::string cli::describePorts(const char *kind, std::span<const PortSignature> ports) {
  std::string text;
  for (const PortSignature &port : ports)
    text +=
        escapeText(fmt::format("{} {}: {}", kind, port.name, port.describe()), TextPlace::Line) +
        "\n";
  return text;
}
