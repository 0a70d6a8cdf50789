//===- RunnableTargets.cpp - targets that tests can run -------------------===//
#include "tests/native/RunnableTargets.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

std::vector<std::string> quern::native::runnableTargets() {
  std::vector<std::string> names = {"baseline"};
  if (llvm::sys::getHostCPUFeatures().lookup("avx2"))
    names.push_back("haswell");
  names.push_back("host");
  return names;
}
