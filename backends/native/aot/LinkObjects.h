//===- LinkObjects.h - object files to what users link --------------------===//
//
// LLVM's linker, in this process: no compiler or linker needs to be installed.
// Thread-safe; links run one at a time.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "quern/Status.h"

#include <string>
#include <vector>

namespace quern::native {

/// Joins object files into one (`ld -r`).
Status linkRelocatable(const std::vector<std::string> &objects, const std::string &output);

/// The files of the C library and libm, and of C++ (libstdc++ and what unwinds), as this
/// process has loaded them: their development files (libm.so, crt1.o) need not be
/// installed.
std::vector<std::string> systemLibraries();

/// Links a shared library named `soname`. It depends on `libraries` only as far as it
/// calls them; anything else undefined is an error, unless there are none. `archive`,
/// unless empty, has more that objects call: its symbols stay hidden, and the C++ library,
/// which it needs, is one that the result depends on.
Status linkSharedLibrary(const std::vector<std::string> &objects, const std::string &output,
                         const std::string &soname, const std::vector<std::string> &libraries,
                         const std::string &archive = "");

/// Copies an object file; of the symbols it defines, only `kept` stay global.
Status localizeSymbols(const std::string &object, const std::string &output,
                       const std::vector<std::string> &kept);

/// Writes a static library with one member.
Status writeArchive(const std::string &object, const std::string &memberName,
                    const std::string &output);

/// The symbols that an object file expects others to define.
Expected<std::vector<std::string>> undefinedSymbols(const std::string &object);

} // namespace quern::native
