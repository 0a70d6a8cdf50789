//===- ExpandFloat16.h - float16 for CPUs that know nothing of it ---------===//
#pragma once

namespace llvm {
class Module;
} // namespace llvm

namespace quern::native {

/// Replaces conversions between half and float, scalars and vectors, by integer
/// arithmetic with the same results as the F16C instructions, NaNs included. For
/// targets without those: LLVM would call functions of the compiler's library,
/// which artefacts cannot count on. (No kernel converts from double to half, which
/// must not round twice.)
void expandFloat16(llvm::Module &module);

} // namespace quern::native
