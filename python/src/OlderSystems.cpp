//===- OlderSystems.cpp - what glibc 2.34 does not have -------------------===//
//
// LLVM's archives were built for a newer glibc than the wheel asks for. What they want of it is
// here; cmake/QuernOlderSystems.cmake does the same for libstdc++.
//
//===----------------------------------------------------------------------===//
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <sys/random.h>

/// Of glibc 2.36: a random number, of which LLVM makes names of temporary files.
extern "C" uint32_t arc4random() {
  uint32_t number = 0;
  ssize_t got;
  do
    got = getrandom(&number, sizeof number, 0);
  while (got < 0 && errno == EINTR);
  if (got != sizeof number)
    abort(); // like glibc's, it has no way to fail
  return number;
}
