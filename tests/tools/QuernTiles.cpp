//===- QuernTiles.cpp - quern on a CPU with tiles of matrices -------------===//
//
// The command, whose code for this machine multiplies tiles (AMX), by emulation if it has none:
// for whole models. What it measures means nothing then.
//
//===----------------------------------------------------------------------===//
#include "tests/native/TileEmulator.h"
#include "tools/quern/CommandLine.h"

int main(int argc, char **argv) {
  quern::native::TileEmulator emulator;
  return quern::cli::runCommandLine(argc, argv);
}
