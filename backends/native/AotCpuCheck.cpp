//===- AotCpuCheck.cpp - whether a CPU can run an artefact ----------------===//
#include "backends/native/AotCpuCheck.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Target/TargetMachine.h"

#include <array>
#include <map>

using namespace quern;
using namespace quern::native;

namespace {
enum Register : unsigned { Eax, Ebx, Ecx, Edx };

/// Where CPUID reports a feature.
struct CpuidBit {
  const char *feature;
  uint32_t leaf;
  uint32_t subleaf;
  Register reg;
  unsigned bit;
};
} // namespace

constexpr uint32_t kExtended = 0x80000000;

/// The features that LLVM's code generator may use unasked. Others (cryptography,
/// system instructions) never occur in kernels and are not required.
constexpr CpuidBit kFeatures[] = {
    {"sse3", 1, 0, Ecx, 0},
    {"ssse3", 1, 0, Ecx, 9},
    {"fma", 1, 0, Ecx, 12},
    {"sse4.1", 1, 0, Ecx, 19},
    {"sse4.2", 1, 0, Ecx, 20},
    {"movbe", 1, 0, Ecx, 22},
    {"popcnt", 1, 0, Ecx, 23},
    {"avx", 1, 0, Ecx, 28},
    {"f16c", 1, 0, Ecx, 29},
    {"bmi", 7, 0, Ebx, 3},
    {"avx2", 7, 0, Ebx, 5},
    {"bmi2", 7, 0, Ebx, 8},
    {"avx512f", 7, 0, Ebx, 16},
    {"avx512dq", 7, 0, Ebx, 17},
    {"avx512ifma", 7, 0, Ebx, 21},
    {"avx512cd", 7, 0, Ebx, 28},
    {"avx512bw", 7, 0, Ebx, 30},
    {"avx512vl", 7, 0, Ebx, 31},
    {"avx512vbmi", 7, 0, Ecx, 1},
    {"avx512vbmi2", 7, 0, Ecx, 6},
    {"gfni", 7, 0, Ecx, 8},
    {"avx512vnni", 7, 0, Ecx, 11},
    {"avx512bitalg", 7, 0, Ecx, 12},
    {"avx512vpopcntdq", 7, 0, Ecx, 14},
    {"avx512vp2intersect", 7, 0, Edx, 8},
    {"avx512fp16", 7, 0, Edx, 23},
    {"avxvnni", 7, 1, Eax, 4},
    {"avx512bf16", 7, 1, Eax, 5},
    {"avxifma", 7, 1, Eax, 23},
    {"avxvnniint8", 7, 1, Edx, 4},
    {"avxneconvert", 7, 1, Edx, 5},
    {"avxvnniint16", 7, 1, Edx, 10},
    {"sahf", kExtended + 1, 0, Ecx, 0},
    {"lzcnt", kExtended + 1, 0, Ecx, 5},
    {"sse4a", kExtended + 1, 0, Ecx, 6},
    {"xop", kExtended + 1, 0, Ecx, 11},
    {"fma4", kExtended + 1, 0, Ecx, 16},
    {"tbm", kExtended + 1, 0, Ecx, 21},
};

/// What the operating system saves, in XCR0: SSE and AVX state; and for AVX-512
/// the mask registers and the upper vectors.
constexpr uint32_t kAvxState = 0x06;
constexpr uint32_t kAvx512State = 0xe6;
/// Of leaf 1, register ECX: XGETBV may be executed.
constexpr uint32_t kOsxsave = 1u << 27;

Expected<std::vector<std::string>> native::requiredCpuFeatures(const Target &target) {
  QUERN_ASSIGN(auto machine, createTargetMachine(target));
  std::vector<std::string> features;
  for (const CpuidBit &entry : kFeatures)
    if (machine->getMCSubtargetInfo()->checkFeatures(std::string("+") + entry.feature))
      features.push_back(entry.feature);
  return features;
}

namespace {
/// Builds a function that returns 0 at the first condition that does not hold.
class CpuCheck {
public:
  CpuCheck(llvm::Module &module, const std::string &symbol);

  void requireBits(uint32_t leaf, uint32_t subleaf, const std::array<uint32_t, 4> &masks);
  void requireSavedState(uint32_t mask);
  llvm::Function *finish();

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
  llvm::Value *last = ir.CreateExtractValue(cpuid(leaf & kExtended, 0), Eax);
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

llvm::Function *CpuCheck::finish() {
  ir.CreateRet(ir.getInt32(1));
  return function;
}

llvm::Function *native::emitCpuCheck(llvm::Module &module, const std::string &symbol,
                                     const std::vector<std::string> &features) {
  std::map<std::pair<uint32_t, uint32_t>, std::array<uint32_t, 4>> leaves;
  bool avx = false, avx512 = false;
  for (const std::string &feature : features)
    for (const CpuidBit &entry : kFeatures)
      if (feature == entry.feature) {
        leaves[{entry.leaf, entry.subleaf}][entry.reg] |= 1u << entry.bit;
        avx |= feature == "avx";
        avx512 |= feature == "avx512f";
      }
  if (avx)
    leaves[{1, 0}][Ecx] |= kOsxsave;
  CpuCheck check(module, symbol);
  for (const auto &[leaf, masks] : leaves)
    check.requireBits(leaf.first, leaf.second, masks);
  if (avx)
    check.requireSavedState(avx512 ? kAvx512State : kAvxState);
  return check.finish();
}
