# Imports QuernApi from the build folder of the main project, and LLVM as static archives.
find_package(LLVM 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/llvm)
find_package(MLIR 19.1 REQUIRED CONFIG HINTS ${LLVM_DIR}/../mlir)
find_package(LLD 19.1 REQUIRED CONFIG HINTS ${LLVM_DIR}/../lld)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(JPEG REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PNG REQUIRED)
find_package(Protobuf REQUIRED)
find_package(TBB REQUIRED CONFIG)
find_package(Threads REQUIRED)
find_package(TIFF REQUIRED)
find_package(ZLIB REQUIRED)
include(${QUERN_BUILD_FOLDER}/QuernBuildTree.cmake)

# What of LLVM is used: the JIT for this machine, code and assembly for x86-64 and AArch64,
# and what lld brings with it. Other targets: src/UnusedParts.cpp.
llvm_map_components_to_libnames(components
  X86 AArch64 OrcJIT PerfJITEvents Passes ObjCopy LTO IRReader BitReader AsmParser Linker MC Option TargetParser
  WindowsDriver DebugInfoDWARF)
add_library(quern_llvm INTERFACE)
target_link_libraries(quern_llvm INTERFACE ${components})

# MLIR's and lld's archives ask for LLVM as a whole, which is the shared libLLVM; and LLVM's
# for Polly, which Debian has not packed beside them.
get_property(libraries DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(library IN LISTS libraries)
  get_target_property(links ${library} INTERFACE_LINK_LIBRARIES)
  if(links)
    string(REGEX REPLACE "(^|;|:)LLVM(>|;|$)" "\\1quern_llvm\\2" links "${links}")
    list(REMOVE_ITEM links Polly)
    set_target_properties(${library} PROPERTIES INTERFACE_LINK_LIBRARIES "${links}")
  endif()
endforeach()
