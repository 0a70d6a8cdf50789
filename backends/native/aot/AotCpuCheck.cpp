//===- AotCpuCheck.cpp - whether a CPU can run an artefact ----------------===//
#include "backends/native/aot/AotCpuCheck.h"

#include "backends/native/target/X86Features.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Module.h"

#include <array>
#include <map>

using namespace quern;
using namespace quern::native;

namespace {
/// Builds a function that returns 0 at the first condition that does not hold.
class CpuCheck {
public:
  CpuCheck(llvm::Module &module, const std::string &symbol);

  void requireBits(uint32_t leaf, uint32_t subleaf, const std::array<uint32_t, 4> &masks);
  void requireSavedState(uint32_t mask);
  /// Asks Linux for tiles: see TilePermission.
  void requireTiles();
  /// `answer` is for a CPU that meets all conditions.
  llvm::Function *finish(bool answer);

private:
  llvm::Value *cpuid(uint32_t leaf, uint32_t subleaf);
  void require(llvm::Value *condition);
  void requireMask(llvm::Value *value, uint32_t mask);

  llvm::IRBuilder<> ir;
  llvm::Function *function;
  llvm::BasicBlock *refused;
};
} // namespace

CpuCheck::CpuCheck(llvm::Module &module, const std::string &symbol) : ir(module.getContext()) {
  function = llvm::Function::Create(llvm::FunctionType::get(ir.getInt32Ty(), false),
                                    llvm::Function::ExternalLinkage, symbol, module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  auto *entry = llvm::BasicBlock::Create(ir.getContext(), "entry", function);
  refused = llvm::BasicBlock::Create(ir.getContext(), "refused", function);
  ir.SetInsertPoint(refused);
  ir.CreateRet(ir.getInt32(0));
  ir.SetInsertPoint(entry);
}

llvm::Value *CpuCheck::cpuid(uint32_t leaf, uint32_t subleaf) {
  llvm::Type *word = ir.getInt32Ty();
  auto *results = llvm::StructType::get(word, word, word, word);
  auto *code = llvm::InlineAsm::get(llvm::FunctionType::get(results, {word, word}, false), "cpuid",
                                    "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}",
                                    /*hasSideEffects=*/true);
  return ir.CreateCall(code, {ir.getInt32(leaf), ir.getInt32(subleaf)});
}

void CpuCheck::require(llvm::Value *condition) {
  auto *next = llvm::BasicBlock::Create(ir.getContext(), "next", function, refused);
  ir.CreateCondBr(condition, next, refused);
  ir.SetInsertPoint(next);
}

void CpuCheck::requireMask(llvm::Value *value, uint32_t mask) {
  require(ir.CreateICmpEQ(ir.CreateAnd(value, mask), ir.getInt32(mask)));
}

void CpuCheck::requireBits(uint32_t leaf, uint32_t subleaf, const std::array<uint32_t, 4> &masks) {
  // Leaves that do not exist answer with some other leaf's bits.
  llvm::Value *last = ir.CreateExtractValue(cpuid(leaf & kExtendedLeaves, 0), Eax);
  require(ir.CreateICmpUGE(last, ir.getInt32(leaf)));
  llvm::Value *results = cpuid(leaf, subleaf);
  for (unsigned reg = Eax; reg <= Edx; ++reg)
    if (masks[reg] != 0)
      requireMask(ir.CreateExtractValue(results, reg), masks[reg]);
}

void CpuCheck::requireSavedState(uint32_t mask) {
  llvm::Type *word = ir.getInt32Ty();
  auto *code = llvm::InlineAsm::get(
      llvm::FunctionType::get(llvm::StructType::get(word, word), {word}, false), "xgetbv",
      "={ax},={dx},{cx},~{dirflag},~{fpsr},~{flags}", /*hasSideEffects=*/true);
  llvm::Value *state = ir.CreateCall(code, {ir.getInt32(0)});
  requireMask(ir.CreateExtractValue(state, 0), mask);
}

void CpuCheck::requireTiles() {
  llvm::Type *word = ir.getInt64Ty();
  auto *code = llvm::InlineAsm::get(
      llvm::FunctionType::get(word, {word, word, word}, false), "syscall",
      "={ax},{ax},{di},{si},~{rcx},~{r11},~{memory},~{dirflag},~{fpsr},~{flags}",
      /*hasSideEffects=*/true);
  llvm::Value *failure = ir.CreateCall(code, {ir.getInt64(TilePermission::kSystemCall),
                                              ir.getInt64(TilePermission::kRequest),
                                              ir.getInt64(TilePermission::kTileData)});
  require(ir.CreateICmpEQ(failure, ir.getInt64(0)));
}

llvm::Function *CpuCheck::finish(bool answer) {
  ir.CreateRet(ir.getInt32(answer));
  return function;
}

llvm::Function *native::emitCpuCheck(llvm::Module &module, const std::string &symbol,
                                     const std::vector<std::string> &features) {
  std::map<std::pair<uint32_t, uint32_t>, std::array<uint32_t, 4>> leaves;
  uint32_t savedState = 0;
  bool allKnown = true;
  for (const std::string &name : features) {
    const CpuidFeature *feature = findCpuidFeature(name);
    allKnown &= feature != nullptr;
    if (!feature)
      continue;
    leaves[{feature->leaf, feature->subleaf}][feature->reg] |= 1u << feature->bit;
    savedState |= feature->savedState;
  }
  if (savedState)
    leaves[{1, 0}][Ecx] |= kOsxsave;
  CpuCheck check(module, symbol);
  for (const auto &[leaf, masks] : leaves)
    check.requireBits(leaf.first, leaf.second, masks);
  if (savedState)
    check.requireSavedState(savedState);
  if (savedState & kTileState)
    check.requireTiles();
  return check.finish(allKnown);
}
