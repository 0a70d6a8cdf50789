//===- AotHeader.h - the C header of an artefact --------------------------===//
#pragma once

#include "backends/native/aot/AotOutput.h"

namespace quern::native {

/// The text of a self-contained header that declares the model's functions and
/// the sizes of its tensors. `libraries`: what an object file must be linked with.
std::string headerText(const AotArtifact &artifact, const std::vector<std::string> &libraries);

/// A C string literal of any text.
std::string cLiteral(const std::string &value);

} // namespace quern::native
