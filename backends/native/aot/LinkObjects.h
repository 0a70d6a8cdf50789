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

/// A further name for a symbol.
struct SymbolAlias {
  std::string name, target;
};

struct SharedLibrary {
  std::vector<std::string> objects;
  /// Its soname.
  std::string name;
  /// What it depends on, as far as the objects call it; anything else undefined is an
  /// error, unless there are none.
  std::vector<std::string> libraries = {};
  /// An archive with more that the objects call, unless empty: its symbols stay hidden.
  std::string archive = {};
  std::vector<SymbolAlias> aliases = {};
};
Status linkSharedLibrary(const SharedLibrary &library, const std::string &output);

/// Copies an object file; of the symbols it defines, only `kept` stay global.
Status localizeSymbols(const std::string &object, const std::string &output,
                       const std::vector<std::string> &kept);

/// Writes a static library with one member.
Status writeArchive(const std::string &object, const std::string &memberName,
                    const std::string &output);

/// The symbols that an object file expects others to define.
Expected<std::vector<std::string>> undefinedSymbols(const std::string &object);

} // namespace quern::native
