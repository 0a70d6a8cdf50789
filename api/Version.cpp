//===- Version.cpp - of Quern and of what it is built on ------------------===//
#include "quern/Version.h"

#include "llvm/Config/llvm-config.h"

#include <google/protobuf/stubs/common.h>
#include <tbb/version.h>

using namespace quern;

const char *quern::versionString() { return QUERN_VERSION; }

std::vector<std::pair<std::string, std::string>> quern::libraryVersions() {
  return {{"LLVM", LLVM_VERSION_STRING},
          {"oneTBB", TBB_runtime_version()},
          {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)}};
}
