# What users run has LLVM linked in, from its static archives: a process of the shared libLLVM, with
# the code generators of all targets, takes twice as long to start and 20 MB more. Tests and tools
# of developers link the shared one. Include it where MLIR and LLD have been found.

# What of LLVM is used: the JIT for this machine, code and assembly for x86-64 and AArch64, and what
# lld brings with it. Other targets: UnusedLlvmParts.cpp.
# (Projects beside this one find the target in QuernBuildTree.cmake.)
if(NOT TARGET quern_llvm)
  llvm_map_components_to_libnames(components
    X86 AArch64 OrcJIT PerfJITEvents Passes ObjCopy LTO IRReader BitReader AsmParser Linker MC Option TargetParser
    WindowsDriver DebugInfoDWARF)
  add_library(quern_llvm INTERFACE)
  set(wantsArchives "$<BOOL:$<TARGET_PROPERTY:QUERN_LLVM_ARCHIVES>>")
  target_link_libraries(quern_llvm INTERFACE "$<IF:${wantsArchives},${components},LLVM>")
endif()

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

set(QUERN_UNUSED_LLVM_PARTS ${CMAKE_CURRENT_LIST_DIR}/UnusedLlvmParts.cpp)

# quern_link_llvm_archives(TARGET): a program or library for users.
function(quern_link_llvm_archives target)
  set_target_properties(${target} PROPERTIES QUERN_LLVM_ARCHIVES ON)
  target_sources(${target} PRIVATE ${QUERN_UNUSED_LLVM_PARTS})
  target_include_directories(${target} SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS})
  target_link_options(${target} PRIVATE LINKER:--gc-sections LINKER:--as-needed)
  if(NOT QUERN_FOR_OLDER_SYSTEMS) # glibc reads this from 2.36 on
    target_link_options(${target} PRIVATE LINKER:-z,pack-relative-relocs)
  endif()
endfunction()
