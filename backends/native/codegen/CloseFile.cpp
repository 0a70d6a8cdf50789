//===- CloseFile.cpp - closing output files that may have failed ----------===//
#include "backends/native/codegen/CloseFile.h"

#include "llvm/Support/raw_ostream.h"

using namespace quern;

Status native::closeFile(llvm::raw_fd_ostream &out, const std::string &path) {
  out.close();
  std::error_code error = out.error();
  out.clear_error();
  return error ? ioError("cannot write " + path + ": " + error.message()) : Status::ok();
}
