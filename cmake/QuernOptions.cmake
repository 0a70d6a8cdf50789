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
  # libstdc++'s stable_sort uses what it deprecates; its own pragma is lost in precompiled headers.
  -Wno-deprecated-declarations
  # Integer tensors wrap on overflow, in reference kernels as in emitted code.
  -fwrapv
  # One code model everywhere, so that executables can use the precompiled headers.
  -fPIC
  # Lets ccache share precompiled headers between check-outs.
  "SHELL:$<$<CXX_COMPILER_ID:Clang>:-Xclang -fno-pch-timestamp>")
if(NOT CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  # Reference kernels give the same bits as on x86-64, whose baseline has no multiply-add that
  # rounds once.
  target_compile_options(quern_options INTERFACE -ffp-contract=off)
endif()
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

# quern_precompile(NAME HEADERS... LINK LIBRARIES... DEPENDS TARGETS...): headers that a group of
# targets reads once; quern_use_headers(TARGETS... FROM NAME) is for the group. Sources still
# include what they use.
function(quern_precompile name)
  cmake_parse_arguments(ARG "" "" "HEADERS;LINK;DEPENDS" ${ARGN})
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${name}.cpp CONTENT "")
  add_library(${name} STATIC ${PROJECT_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE quern_options ${ARG_LINK})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()
function(quern_use_headers)
  cmake_parse_arguments(ARG "" "FROM" "" ${ARGN})
  foreach(target IN LISTS ARG_UNPARSED_ARGUMENTS)
    target_precompile_headers(${target} REUSE_FROM ${ARG_FROM})
  endforeach()
endfunction()

# Sources are compiled eight at a time: a full build takes a third less, for what headers and
# templates cost is paid once for eight. So names of file scope must differ within a batch. The
# preset `dev` compiles each by itself.
option(QUERN_JOIN_SOURCES "Compile the sources of a library in batches" ON)

# quern_add_library(NAME SOURCES... [ALONE SOURCES...] LINK PUBLIC_DEPENDENCIES...): the sources
# behind ALONE are compiled each by itself.
function(quern_add_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;ALONE;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES} ${ARG_ALONE})
  target_link_libraries(${name} PUBLIC quern_options ${ARG_LINK})
  set_target_properties(${name} PROPERTIES
    UNITY_BUILD ${QUERN_JOIN_SOURCES} UNITY_BUILD_BATCH_SIZE 8)
  set_source_files_properties(${ARG_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
