# The wheel runs on systems with glibc 2.34 and the libstdc++ of GCC 11, of which Debian's bundled
# libraries ask no more. What LLVM's archives ask for beyond that is linked in: of glibc, see
# src/OlderSystems.cpp; of libstdc++, single objects of the static one. The rest of libstdc++
# stays shared, so that there is one of it for this module and the bundled libraries, which
# throw exceptions into it.

# quern_take_from_static_libstdcxx(TARGET OBJECTS...)
function(quern_take_from_static_libstdcxx target)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libstdc++.a
    OUTPUT_VARIABLE archive OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  foreach(object IN LISTS ARGN)
    set(taken ${CMAKE_CURRENT_BINARY_DIR}/libstdc++/${object})
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/libstdc++)
    add_custom_command(OUTPUT ${taken} COMMAND ${CMAKE_AR} x ${archive} ${object}
      WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/libstdc++ DEPENDS ${archive} VERBATIM)
    set_source_files_properties(${taken} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    target_sources(${target} PRIVATE ${taken})
  endforeach()
endfunction()
