//===- TileEmulator.h - AMX on CPUs that have none ------------------------===//
//
// Tests run the very machine code that CPUs with tiles get. Where a CPU has none, each of these
// instructions is an illegal one: the signal's handler performs it, as Intel's manual says
// (Software Developer's Manual, volume 2, chapters LDTILECFG to TILEZERO), and goes on behind it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <csignal>
#include <cstdint>

namespace quern::native {

/// While one exists, kernels for "host" may multiply tiles: by the CPU's own unit if it has one,
/// else by emulation.
class TileEmulator {
public:
  TileEmulator();
  ~TileEmulator();
  TileEmulator(const TileEmulator &) = delete;
  TileEmulator &operator=(const TileEmulator &) = delete;

  /// Kernels for tiles have AVX-512 beside them, which nothing emulates.
  static bool isPossible();
  /// Instructions performed by all threads so far.
  static int64_t performed();
  /// Whether the calling thread has configured tiles that it has not released.
  static bool isConfigured();

private:
  bool isInstalled = false;
  struct sigaction before{};
};

} // namespace quern::native
