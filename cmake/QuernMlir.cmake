# MLIR and LLVM 19, linked one way only: the static MLIR archives beside the
# shared libLLVM (see docs/ARCHITECTURE.md).
find_program(QUERN_LLVM_CONFIG NAMES llvm-config-19 REQUIRED)
execute_process(COMMAND ${QUERN_LLVM_CONFIG} --prefix
  OUTPUT_VARIABLE QUERN_LLVM_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE)
find_package(MLIR 19.1 REQUIRED CONFIG HINTS ${QUERN_LLVM_PREFIX}/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

add_library(quern_mlir INTERFACE)
target_include_directories(quern_mlir SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_compile_definitions(quern_mlir INTERFACE ${LLVM_DEFINITIONS_LIST})
# LLVM is built with RTTI and without exceptions.
target_compile_options(quern_mlir INTERFACE -fno-exceptions)

# One precompiled header for every MLIR-heavy target.
function(quern_use_mlir_pch target)
  if(NOT TARGET quern_mlir_pch)
    file(WRITE ${PROJECT_BINARY_DIR}/quern_mlir_pch.cpp "")
    add_library(quern_mlir_pch STATIC ${PROJECT_BINARY_DIR}/quern_mlir_pch.cpp)
    target_link_libraries(quern_mlir_pch PUBLIC quern_options quern_mlir)
    target_precompile_headers(quern_mlir_pch PRIVATE
      <map> <memory> <optional> <string> <vector>
      <mlir/Bytecode/BytecodeOpInterface.h>
      <mlir/IR/Builders.h> <mlir/IR/BuiltinOps.h> <mlir/IR/BuiltinTypes.h> <mlir/IR/Dialect.h>
      <mlir/IR/OpDefinition.h> <mlir/IR/OpImplementation.h> <mlir/IR/PatternMatch.h>
      <mlir/Interfaces/SideEffectInterfaces.h> <mlir/Pass/Pass.h> <mlir/Pass/PassManager.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM quern_mlir_pch)
endfunction()
