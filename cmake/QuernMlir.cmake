# MLIR and LLVM 19: MLIR's static archives, beside LLVM's or the shared libLLVM (see
# docs/decisions/code-generation.md).
find_program(QUERN_LLVM_CONFIG NAMES llvm-config-19 REQUIRED)
execute_process(COMMAND ${QUERN_LLVM_CONFIG} --prefix
  OUTPUT_VARIABLE QUERN_LLVM_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE)
find_package(MLIR 19.1 REQUIRED CONFIG HINTS ${QUERN_LLVM_PREFIX}/lib/cmake/mlir)
find_package(LLD 19.1 REQUIRED CONFIG HINTS ${QUERN_LLVM_PREFIX}/lib/cmake/lld)
if(CMAKE_CROSSCOMPILING) # what generates sources runs here
  set(MLIR_TABLEGEN_EXE ${QUERN_LLVM_PREFIX}/bin/mlir-tblgen)
endif()
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
# LLVM's rules write paths in depfiles as the old policy has them; by the new one every build would
# generate all again.
cmake_policy(PUSH)
cmake_policy(SET CMP0116 OLD)
include(TableGen)
include(AddLLVM)
include(AddMLIR)
cmake_policy(POP)

add_library(quern_mlir INTERFACE)
target_include_directories(quern_mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_compile_definitions(quern_mlir INTERFACE ${LLVM_DEFINITIONS_LIST})
# LLVM is built with RTTI and without exceptions.
target_compile_options(quern_mlir INTERFACE -fno-exceptions)

include(QuernLlvmArchives)
