# cmake -D FILES=... -D OUTPUT=FILE.cpp -P ContentHash.cmake: writes a source that defines
# kEmitterBuild, a hash of the contents of the files. It stays as it is where they do.
set(hashes "")
foreach(file IN LISTS FILES)
  file(SHA256 ${file} hash)
  string(APPEND hashes ${hash})
endforeach()
string(SHA256 hash "${hashes}")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "backends/native/emit/KernelKey.h"

const std::string_view quern::native::kEmitterBuild = "@hash@";
]] @ONLY)
