//===- TileEmulator.cpp - AMX on CPUs that have none ----------------------===//
#include "tests/native/TileEmulator.h"

#include "backends/native/target/CpuFeatures.h"
#include "backends/native/target/X86Features.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <optional>

using namespace quern::native;

#if defined(__x86_64__)
#include <immintrin.h>
#include <ucontext.h>

namespace {
constexpr int kTiles = 8, kMaxRows = 16, kRowBytes = 64;

/// The memory operand of LDTILECFG.
struct Configuration {
  uint8_t palette = 0, startRow = 0, reserved[14] = {};
  uint16_t columnBytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(Configuration) == 64);

/// Of a thread.
struct TileState {
  Configuration configuration;
  uint8_t data[kTiles][kMaxRows][kRowBytes] = {};
};
constinit thread_local TileState state;
std::atomic<int64_t> instructions{0};

/// A VEX-encoded instruction of the map 0F38.
struct Instruction {
  enum Prefix { None, P66, PF3, PF2 };
  uint8_t opcode = 0;
  Prefix prefix = None;
  /// ModRM.reg and VEX.vvvv; ModRM.rm where it is a register.
  int reg = 0, vvvv = 0, rm = 0;
  bool hasMemory = false;
  /// Base and displacement; the scaled index.
  int64_t address = 0, stride = 0;
  int64_t length = 0;
};

int64_t registerOf(const greg_t *registers, int number) {
  constexpr int kOrder[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return registers[kOrder[number]];
}

/// The operands from ModRM at `at` on; `x` and `b` extend the index and the base.
void decodeOperands(const uint8_t *at, const uint8_t *start, int x, int b, const greg_t *registers,
                    Instruction &found) {
  int mod = *at >> 6, rm = *at & 7;
  ++at;
  found.rm = rm + b;
  found.hasMemory = mod != 3;
  std::optional<int> base = rm + b;
  if (found.hasMemory && rm == 4) {
    int scale = *at >> 6, index = (*at >> 3 & 7) + x;
    base = (*at & 7) + b;
    if (mod == 0 && (*at & 7) == 5)
      base = std::nullopt; // a displacement of 32 bits alone
    ++at;
    if (index != 4)
      found.stride = registerOf(registers, index) << scale;
  }
  bool isRelative = mod == 0 && rm == 5;
  if (found.hasMemory) {
    int64_t displacement = 0;
    if (mod == 1) {
      displacement = static_cast<int8_t>(*at);
      at += 1;
    } else if (mod == 2 || isRelative || !base) {
      int32_t wide;
      std::memcpy(&wide, at, sizeof wide);
      displacement = wide;
      at += sizeof wide;
    }
    int64_t origin = isRelative ? reinterpret_cast<int64_t>(at)
                     : base     ? registerOf(registers, *base)
                                : 0;
    found.address = origin + displacement;
  }
  found.length = at - start;
}

/// The instruction at `code`, if it is of the form that all of AMX has.
std::optional<Instruction> decode(const uint8_t *code, const greg_t *registers) {
  // VEX of three bytes, map 2, W = 0, L = 0.
  if (code[0] != 0xC4 || (code[1] & 0x1F) != 2 || (code[2] & 0x84) != 0)
    return std::nullopt;
  Instruction found;
  int r = code[1] & 0x80 ? 0 : 8, x = code[1] & 0x40 ? 0 : 8, b = code[1] & 0x20 ? 0 : 8;
  found.vvvv = ~(code[2] >> 3) & 15;
  found.prefix = static_cast<Instruction::Prefix>(code[2] & 3);
  found.opcode = code[3];
  found.reg = (code[4] >> 3 & 7) + r;
  decodeOperands(code + 4, code, x, b, registers, found);
  return found;
}

int rowsOf(int tile) { return state.configuration.rows[tile]; }
int bytesOf(int tile) { return state.configuration.columnBytes[tile]; }

bool configure(const void *memory) {
  Configuration wanted;
  std::memcpy(&wanted, memory, sizeof wanted);
  std::memset(&state, 0, sizeof state);
  if (wanted.palette == 0)
    return true;
  if (wanted.palette != 1 || wanted.startRow != 0)
    return false; // kernels never resume
  for (int tile = 0; tile < 16; ++tile) {
    bool isUnused = wanted.rows[tile] == 0 && wanted.columnBytes[tile] == 0;
    bool isTile = tile < kTiles && wanted.rows[tile] > 0 && wanted.rows[tile] <= kMaxRows &&
                  wanted.columnBytes[tile] > 0 && wanted.columnBytes[tile] <= kRowBytes;
    if (!isUnused && !isTile)
      return false;
  }
  state.configuration = wanted;
  return true;
}

void load(int tile, int64_t address, int64_t stride) {
  std::memset(state.data[tile], 0, sizeof state.data[tile]);
  for (int row = 0; row < rowsOf(tile); ++row)
    std::memcpy(state.data[tile][row], reinterpret_cast<const void *>(address + row * stride),
                static_cast<size_t>(bytesOf(tile)));
}

void store(int tile, int64_t address, int64_t stride) {
  for (int row = 0; row < rowsOf(tile); ++row)
    std::memcpy(reinterpret_cast<void *>(address + row * stride), state.data[tile][row],
                static_cast<size_t>(bytesOf(tile)));
}

/// Even and odd elements are summed up apart, then both sums are added to the tile; subnormal
/// numbers are zeros.
__attribute__((target("avx2,fma"))) void multiplyBFloat16(int c, int a, int b) {
  unsigned mode = _mm_getcsr();
  constexpr unsigned kZeros = 0x8040, kMasked = 0x1F80;
  _mm_setcsr(kZeros | kMasked);
  for (int row = 0; row < rowsOf(c); ++row) {
    alignas(64) float even[16] = {}, odd[16] = {},
                      *sums = reinterpret_cast<float *>(state.data[c][row]);
    for (int k = 0; k < bytesOf(a) / 4; ++k) {
      uint32_t pair;
      std::memcpy(&pair, state.data[a][row] + 4 * k, sizeof pair);
      uint32_t low = pair << 16, high = pair & 0xFFFF0000;
      float first, second;
      std::memcpy(&first, &low, 4);
      std::memcpy(&second, &high, 4);
      for (int n = 0; n < 16; n += 8) {
        __m256i pairs =
            _mm256_loadu_si256(reinterpret_cast<const __m256i *>(state.data[b][k] + 4 * n));
        __m256 lows = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
        __m256 highs = _mm256_castsi256_ps(
            _mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xFFFF0000))));
        _mm256_store_ps(even + n,
                        _mm256_fmadd_ps(_mm256_set1_ps(first), lows, _mm256_load_ps(even + n)));
        _mm256_store_ps(odd + n,
                        _mm256_fmadd_ps(_mm256_set1_ps(second), highs, _mm256_load_ps(odd + n)));
      }
    }
    for (int n = 0; n < bytesOf(c) / 4; ++n)
      sums[n] = sums[n] + (even[n] + odd[n]);
  }
  _mm_setcsr(mode);
}

template <typename A, typename B> void multiplyBytes(int c, int a, int b) {
  for (int row = 0; row < rowsOf(c); ++row) {
    uint32_t sums[16];
    std::memcpy(sums, state.data[c][row], sizeof sums);
    for (int k = 0; k < bytesOf(a); ++k) {
      int factor = static_cast<A>(state.data[a][row][k]);
      for (int n = 0; n < bytesOf(c) / 4; ++n)
        sums[n] +=
            static_cast<uint32_t>(factor * static_cast<B>(state.data[b][k / 4][4 * n + k % 4]));
    }
    std::memcpy(state.data[c][row], sums, sizeof sums);
  }
}

/// Whether the tiles of a product fit each other; the CPU refuses others, and equal ones.
bool canMultiply(int c, int a, int b) {
  return c < kTiles && a < kTiles && b < kTiles && c != a && c != b && a != b && rowsOf(c) > 0 &&
         rowsOf(a) == rowsOf(c) && bytesOf(b) == bytesOf(c) && bytesOf(a) == 4 * rowsOf(b) &&
         bytesOf(c) % 4 == 0;
}

bool multiply(const Instruction &i) {
  int c = i.reg, a = i.rm, b = i.vvvv;
  if (i.hasMemory || !canMultiply(c, a, b))
    return false;
  if (i.opcode == 0x5C) {
    if (i.prefix == Instruction::PF3)
      multiplyBFloat16(c, a, b);
    return i.prefix == Instruction::PF3;
  }
  switch (i.prefix) {
  case Instruction::None:
    multiplyBytes<uint8_t, uint8_t>(c, a, b);
    break;
  case Instruction::P66:
    multiplyBytes<uint8_t, int8_t>(c, a, b);
    break;
  case Instruction::PF3:
    multiplyBytes<int8_t, uint8_t>(c, a, b);
    break;
  case Instruction::PF2:
    multiplyBytes<int8_t, int8_t>(c, a, b);
    break;
  }
  return true;
}

/// LDTILECFG, STTILECFG, TILERELEASE and TILEZERO have one opcode.
bool arrange(const Instruction &i) {
  if (i.vvvv != 0)
    return false;
  if (i.prefix == Instruction::PF2) {
    bool isTile = !i.hasMemory && i.reg < kTiles && rowsOf(i.reg) > 0;
    if (isTile)
      std::memset(state.data[i.reg], 0, sizeof state.data[i.reg]);
    return isTile;
  }
  if (i.prefix == Instruction::P66 && i.hasMemory) {
    std::memcpy(reinterpret_cast<void *>(i.address), &state.configuration, sizeof(Configuration));
    return true;
  }
  if (i.prefix != Instruction::None)
    return false;
  if (i.hasMemory)
    return configure(reinterpret_cast<const void *>(i.address));
  std::memset(&state, 0, sizeof state);
  return true;
}

bool perform(const Instruction &i) {
  if (i.opcode == 0x49)
    return arrange(i);
  if (i.opcode == 0x5C || i.opcode == 0x5E)
    return multiply(i);
  if (i.opcode != 0x4B || !i.hasMemory || i.vvvv != 0 || i.reg >= kTiles || rowsOf(i.reg) == 0 ||
      i.prefix == Instruction::None)
    return false;
  if (i.prefix == Instruction::PF3)
    store(i.reg, i.address, i.stride);
  else
    load(i.reg, i.address, i.stride);
  return true;
}

void onIllegalInstruction(int, siginfo_t *, void *context) {
  greg_t *registers = static_cast<ucontext_t *>(context)->uc_mcontext.gregs;
  const auto *code = reinterpret_cast<const uint8_t *>(registers[REG_RIP]);
  std::optional<Instruction> found = decode(code, registers);
  if (found && perform(*found)) {
    registers[REG_RIP] += found->length;
    ++instructions;
    return;
  }
  // Again, and for good.
  signal(SIGILL, SIG_DFL);
}

const std::vector<std::string> kTileFeatures = {"amx-tile", "amx-bf16", "amx-int8"};
} // namespace

bool TileEmulator::isPossible() {
  return missingOnThisCpu({"avx512f", "avx512bw", "avx512vl", "avx512dq"}).empty();
}

TileEmulator::TileEmulator() {
  if (missingOnThisCpu(kTileFeatures).empty())
    return;
  struct sigaction action{};
  action.sa_sigaction = onIllegalInstruction;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGILL, &action, &before);
  setPerformedFeatures(kTileFeatures);
  isInstalled = true;
}

TileEmulator::~TileEmulator() {
  if (!isInstalled)
    return;
  setPerformedFeatures({});
  sigaction(SIGILL, &before, nullptr);
}

int64_t TileEmulator::performed() { return instructions; }

bool TileEmulator::isConfigured() {
  if (!missingOnThisCpu(kTileFeatures).empty() || !performedFeatures().empty())
    return state.configuration.palette != 0;
  Configuration now;
  __asm__ volatile(".byte 0xc4,0xe2,0x79,0x49,0x00" : : "a"(&now) : "memory"); // sttilecfg (%rax)
  return now.palette != 0;
}

#else
bool TileEmulator::isPossible() { return false; }
TileEmulator::TileEmulator() = default;
TileEmulator::~TileEmulator() = default;
int64_t TileEmulator::performed() { return 0; }
bool TileEmulator::isConfigured() { return false; }
#endif
