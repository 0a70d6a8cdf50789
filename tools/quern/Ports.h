//===- Ports.h - inputs and outputs in reports ----------------------------===//
#pragma once

#include "quern/PortSignature.h"

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

/// [{"name": "x", "dtype": "float32", "shape": ["N", 3, null]}, ...]; the shape
/// is null when none is declared.
nlohmann::ordered_json portsJson(std::span<const PortSignature> ports);
std::vector<std::string> namesOf(std::span<const PortSignature> ports);
/// "a, b, c".
std::string joinNames(std::span<const PortSignature> ports);
/// "input x: float32 Nx3" with `kind` "input", a line each.
std::string describePorts(const char *kind, std::span<const PortSignature> ports);

} // namespace quern::cli
