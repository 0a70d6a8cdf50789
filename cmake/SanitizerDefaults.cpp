//===- SanitizerDefaults.cpp - how builds with sanitizers behave ----------===//
//
// Linked into every executable of such a build; ASAN_OPTIONS and so on still win.
//
//===----------------------------------------------------------------------===//

extern "C" const char *__asan_default_options() {
  // LLVM's allocators poison memory in headers and unpoison it in libLLVM, which
  // is not instrumented.
  return "allow_user_poisoning=0:detect_stack_use_after_return=1:"
         "strict_string_checks=1:allocator_may_return_null=1";
}

extern "C" const char *__ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }

// oneTBB's library is not instrumented: how its threads hand over the memory of its
// tasks is not seen. What the tasks themselves do is checked.
extern "C" const char *__tsan_default_suppressions() {
  return "called_from_lib:libtbb.so\n"
         "race_top:tbb::detail::\n"
         "race:tbb::detail::d1::task::task\n"
         "race:>::start_for(\n"
         "race:tbb6detail2d19start_for\n" // as above, where no demangler reads the name
         "race:tbb::detail::d1::fold_tree\n"
         "race:tbb::detail::d1::node::node\n"
         "race:tbb::detail::d1::tree_node::tree_node\n"
         // A table that LLVM makes once; its guard is not instrumented.
         "race:mlir::LLVM::ModuleTranslation::convertParameterAttrs\n";
}
