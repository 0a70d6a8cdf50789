# Compiler options shared by all targets: link `quern_options`.
set(QUERN_SANITIZE "" CACHE STRING "Sanitizers to build with, e.g. address,undefined")

find_program(QUERN_CCACHE ccache)
if(QUERN_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${QUERN_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${QUERN_CCACHE})
endif()

add_library(quern_options INTERFACE)
target_include_directories(quern_options INTERFACE
  ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR}/runtime/include)
target_compile_options(quern_options INTERFACE
  -Wall -Wextra -Wno-unused-parameter -fvisibility-inlines-hidden
  # Comparisons that are always true or false: a sign check of an unsigned value, say.
  -Wtype-limits -Wsign-compare -Wtautological-compare -Wtautological-constant-in-range-compare
  # Integer tensors wrap on overflow, in reference kernels as in emitted code.
  -fwrapv
  # One code model everywhere, so that executables can use the precompiled header.
  -fPIC
  # Lets ccache share precompiled headers between check-outs.
  "SHELL:$<$<CXX_COMPILER_ID:Clang>:-Xclang -fno-pch-timestamp>")
target_link_options(quern_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-fuse-ld=lld-19>)
if(QUERN_SANITIZE)
  target_compile_options(quern_options INTERFACE -fsanitize=${QUERN_SANITIZE} -fno-omit-frame-pointer
    # Emitted kernels do not say their type in front of their code.
    -fno-sanitize=function)
  target_link_options(quern_options INTERFACE -fsanitize=${QUERN_SANITIZE})
  add_library(quern_sanitizer_defaults OBJECT ${PROJECT_SOURCE_DIR}/cmake/SanitizerDefaults.cpp)
  target_link_libraries(quern_options INTERFACE
    $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<TARGET_OBJECTS:quern_sanitizer_defaults>>)
endif()

# quern_add_library(NAME SOURCES... LINK PUBLIC_DEPENDENCIES...)
function(quern_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC quern_options ${ARG_LINK})
endfunction()
