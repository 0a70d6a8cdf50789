//===- Version.h - of Quern and of what it is built on --------------------===//
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace quern {

/// "1.2.3"
const char *versionString();

/// Of the libraries in use: LLVM, oneTBB, protobuf.
std::vector<std::pair<std::string, std::string>> libraryVersions();

} // namespace quern
