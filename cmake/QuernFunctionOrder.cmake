# Where functions lie in what users run: those that a start and a first run call lie beside each
# other, in the order of their first calls. Linux maps 64 KB for each page that is touched, so
# that functions here and there would bring all of LLVM and MLIR into memory.
#
# The order is recorded once for a build folder (tools/record-order); remove functions.order to
# have it made anew.
set(QUERN_FUNCTION_ORDER ${QUERN_BUILD_FOLDER}/functions.order)

# quern_order_functions(TARGET): where the folder has an order.
function(quern_order_functions target)
  if(QUERN_RECORDS_ORDER)
    add_dependencies(${target} quern_function_order)
  elseif(NOT EXISTS ${QUERN_FUNCTION_ORDER})
    return()
  endif()
  target_link_options(${target} PRIVATE LINKER:--symbol-ordering-file=${QUERN_FUNCTION_ORDER}
    LINKER:--no-warn-symbol-ordering LINKER:-z,keep-text-section-prefix)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${QUERN_FUNCTION_ORDER})
endfunction()
