//===- ExpandFloat16.cpp - float16 for CPUs that know nothing of it -------===//
//
// Bits of a half: sign, 5 of exponent (bias 15), 10 of fraction; of a float: sign,
// 8 (bias 127), 23. So a fraction moves by 13 bits and an exponent by 112.
//
// The results do not depend on whether subnormal floats count as zero: all that
// occur on the way are far below the smallest half.
//
//===----------------------------------------------------------------------===//
#include "backends/native/codegen/ExpandFloat16.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"

using namespace quern;

namespace {
constexpr uint32_t kFractionShift = 13;
constexpr uint32_t kExponentShift = 112;
constexpr uint32_t kFloatFractionBits = 23;
constexpr uint32_t kFloatSign = 0x80000000, kFloatInfinity = 0x7f800000;
constexpr uint32_t kHalfSign = 0x8000, kHalfInfinity = 0x7c00, kHalfQuiet = 0x0200;
constexpr uint32_t kHalfFraction = 0x03ff;
/// 2^-14 and 2^16 as floats: the smallest normal half, and what is infinite.
constexpr uint32_t kSmallestNormal = 0x38800000, kTooLarge = 0x47800000;
/// 0.5: a float whose last bit is worth as much as that of a subnormal half.
constexpr uint32_t kSubnormalRounder = 0x3f000000;

/// Integer arithmetic on scalars or vectors in the place of a conversion.
class Expansion {
public:
  explicit Expansion(llvm::CastInst &cast)
      : ir(&cast), operand(cast.getOperand(0)), result(cast.getType()) {}

  llvm::Value *extend();
  llvm::Value *truncate();

private:
  /// `element`, or a vector of it with the lanes of the conversion.
  llvm::Type *like(llvm::Type *element) const { return result->getWithNewType(element); }
  llvm::Value *word(uint32_t value) { return llvm::ConstantInt::get(like(ir.getInt32Ty()), value); }
  llvm::Value *asFloat(llvm::Value *bits) { return ir.CreateBitCast(bits, like(ir.getFloatTy())); }
  llvm::Value *asBits(llvm::Value *value) { return ir.CreateBitCast(value, like(ir.getInt32Ty())); }

  llvm::IRBuilder<> ir;
  llvm::Value *operand;
  llvm::Type *result;
};
} // namespace

llvm::Value *Expansion::extend() {
  llvm::Value *half = ir.CreateBitCast(operand, like(ir.getInt16Ty()));
  half = ir.CreateZExt(half, like(ir.getInt32Ty()));
  llvm::Value *sign = ir.CreateShl(ir.CreateAnd(half, word(kHalfSign)), word(16));
  llvm::Value *magnitude = ir.CreateAnd(half, word(kHalfSign - 1));
  llvm::Value *moved = ir.CreateShl(magnitude, word(kFractionShift));

  constexpr uint32_t kRebias = kExponentShift << kFloatFractionBits;
  llvm::Value *normal = ir.CreateAdd(moved, word(kRebias));
  // With the exponent of 2^-14 the fraction has a leading one too many.
  llvm::Value *subnormal = ir.CreateFSub(asFloat(ir.CreateAdd(moved, word(kSmallestNormal))),
                                         asFloat(word(kSmallestNormal)));
  llvm::Value *special = ir.CreateAdd(normal, word(kRebias));
  llvm::Value *quiet = ir.CreateOr(special, word(kHalfQuiet << kFractionShift));

  llvm::Value *bits =
      ir.CreateSelect(ir.CreateICmpUGT(magnitude, word(kHalfFraction)), normal, asBits(subnormal));
  bits = ir.CreateSelect(ir.CreateICmpUGE(magnitude, word(kHalfInfinity)), special, bits);
  bits = ir.CreateSelect(ir.CreateICmpUGT(magnitude, word(kHalfInfinity)), quiet, bits);
  return ir.CreateFPExt(asFloat(ir.CreateOr(bits, sign)), result);
}

llvm::Value *Expansion::truncate() {
  llvm::Value *bits = asBits(operand);
  llvm::Value *sign = ir.CreateLShr(ir.CreateAnd(bits, word(kFloatSign)), word(16));
  llvm::Value *magnitude = ir.CreateAnd(bits, word(kFloatSign - 1));
  llvm::Value *moved = ir.CreateLShr(magnitude, word(kFractionShift));

  // Half a unit less one, and one more if the result is odd; a carry may well
  // reach the exponent, up to infinity.
  llvm::Value *isOdd = ir.CreateAnd(moved, word(1));
  llvm::Value *rounded =
      ir.CreateAdd(ir.CreateAdd(magnitude, word((1u << (kFractionShift - 1)) - 1)), isOdd);
  llvm::Value *normal = ir.CreateSub(ir.CreateLShr(rounded, word(kFractionShift)),
                                     word(kExponentShift << (kFloatFractionBits - kFractionShift)));
  // The addition rounds.
  llvm::Value *subnormal =
      ir.CreateSub(asBits(ir.CreateFAdd(asFloat(magnitude), asFloat(word(kSubnormalRounder)))),
                   word(kSubnormalRounder));
  llvm::Value *nan =
      ir.CreateOr(ir.CreateAnd(moved, word(kHalfFraction)), word(kHalfInfinity | kHalfQuiet));

  llvm::Value *half =
      ir.CreateSelect(ir.CreateICmpUGE(magnitude, word(kSmallestNormal)), normal, subnormal);
  half = ir.CreateSelect(ir.CreateICmpUGE(magnitude, word(kTooLarge)), word(kHalfInfinity), half);
  half = ir.CreateSelect(ir.CreateICmpUGT(magnitude, word(kFloatInfinity)), nan, half);
  half = ir.CreateTrunc(ir.CreateOr(half, sign), like(ir.getInt16Ty()));
  return ir.CreateBitCast(half, result);
}

static bool isHalf(const llvm::Type *type) { return type->getScalarType()->isHalfTy(); }

void native::expandFloat16(llvm::Module &module) {
  for (llvm::Function &function : module)
    for (llvm::Instruction &instruction :
         llvm::make_early_inc_range(llvm::instructions(function))) {
      llvm::Value *expansion = nullptr;
      if (auto *extension = llvm::dyn_cast<llvm::FPExtInst>(&instruction);
          extension && isHalf(extension->getSrcTy()))
        expansion = Expansion(*extension).extend();
      else if (auto *truncation = llvm::dyn_cast<llvm::FPTruncInst>(&instruction);
               truncation && isHalf(truncation->getDestTy()) &&
               truncation->getSrcTy()->getScalarType()->isFloatTy())
        expansion = Expansion(*truncation).truncate();
      if (!expansion)
        continue;
      instruction.replaceAllUsesWith(expansion);
      instruction.eraseFromParent();
    }
}
