//===- LinkObjects.cpp - object files to what users link ------------------===//
#include "backends/native/aot/LinkObjects.h"

#include "backends/native/codegen/CloseFile.h"

#include "lld/Common/Driver.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <link.h>
#include <mutex>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

using namespace quern;
using namespace quern::native;

static Status linkError(const std::string &what, llvm::Error error) {
  return internalError(what + ": " + llvm::toString(std::move(error)));
}

/// Io error when there is no room for what is linked of the files `inputs`. lld writes to a
/// mapping of a file with holes: when the disk is full it would not fail but end the process
/// (SIGBUS). Only who fills the disk in the moments between can still do that.
static Status checkRoom(const std::vector<std::string> &inputs, const std::string &output) {
  constexpr uint64_t kTables = 64 << 10; // symbols of a library, segments on pages of their own
  uint64_t bytes = kTables;
  for (const std::string &input : inputs)
    if (uint64_t size = 0; !llvm::sys::fs::file_size(input, size))
      bytes += size;
  int fd = open(output.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  bool fits =
      fd >= 0 && (fallocate(fd, 0, 0, static_cast<off_t>(bytes)) == 0 || errno == EOPNOTSUPP);
  int reason = errno;
  if (fd >= 0)
    close(fd);
  unlink(output.c_str());
  return fits ? Status::ok() : ioError("cannot write " + output + ": " + std::strerror(reason));
}

/// Runs lld, whose state is global.
static Status runLinker(const std::vector<std::string> &arguments) {
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard lock(mutex);
  if (!usable)
    return internalError("the linker failed badly before and cannot be used again");
  std::vector<const char *> pointers = {"ld.lld"};
  for (const std::string &argument : arguments)
    pointers.push_back(argument.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(pointers, stream, stream, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  if (result.retCode == 0)
    return Status::ok();
  // Its inputs are Quern's own: all that can fail of itself is writing.
  for (llvm::StringRef words : {"failed to open ", "failed to write "})
    if (size_t at = messages.find(words); at != std::string::npos)
      return ioError("cannot write " +
                     llvm::StringRef(messages.substr(at + words.size())).rtrim().str());
  return internalError("linking failed: " + messages);
}

Status native::linkRelocatable(const std::vector<std::string> &objects, const std::string &output) {
  std::vector<std::string> arguments = {"-r", "-o", output};
  arguments.insert(arguments.end(), objects.begin(), objects.end());
  QUERN_TRY(checkRoom(objects, output));
  return runLinker(arguments);
}

std::vector<std::string> native::systemLibraries() {
  std::vector<std::string> paths;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *result) {
        llvm::StringRef path = info->dlpi_name;
        if (path.ends_with("/libm.so.6") || path.ends_with("/libc.so.6") ||
            path.ends_with("/libstdc++.so.6") || path.ends_with("/libgcc_s.so.1") ||
            path.ends_with("/ld-linux-x86-64.so.2"))
          static_cast<std::vector<std::string> *>(result)->push_back(path.str());
        return 0;
      },
      &paths);
  return paths;
}

Status native::linkSharedLibrary(const SharedLibrary &library, const std::string &output) {
  std::vector<std::string> arguments = {"-shared", "-soname",        library.name, "-o",
                                        output,    "--eh-frame-hdr", "-z",         "now"};
  for (const SymbolAlias &alias : library.aliases)
    arguments.push_back("--defsym=" + alias.name + "=" + alias.target);
  arguments.insert(arguments.end(), library.objects.begin(), library.objects.end());
  if (!library.archive.empty())
    arguments.insert(arguments.end(), {library.archive, "--exclude-libs", "ALL"});
  if (!library.libraries.empty()) {
    arguments.insert(arguments.end(), {"-z", "defs", "--as-needed"});
    arguments.insert(arguments.end(), library.libraries.begin(), library.libraries.end());
  }
  std::vector<std::string> inputs = library.objects;
  if (!library.archive.empty())
    inputs.push_back(library.archive);
  QUERN_TRY(checkRoom(inputs, output));
  return runLinker(arguments);
}

Status native::localizeSymbols(const std::string &object, const std::string &output,
                               const std::vector<std::string> &kept) {
  namespace objcopy = llvm::objcopy;
  objcopy::ConfigManager config;
  config.Common.InputFilename = object;
  config.Common.OutputFilename = output;
  for (const std::string &symbol : kept) {
    auto name = objcopy::NameOrPattern::create(symbol, objcopy::MatchStyle::Literal,
                                               [](llvm::Error error) { return error; });
    if (!name)
      return linkError(symbol, name.takeError());
    if (llvm::Error error = config.Common.SymbolsToKeepGlobal.addMatcher(std::move(name)))
      return linkError(symbol, std::move(error));
  }
  auto input = llvm::object::ObjectFile::createObjectFile(object);
  if (!input)
    return linkError("cannot read " + object, input.takeError());
  std::error_code code;
  llvm::raw_fd_ostream out(output, code);
  if (code)
    return ioError("cannot write " + output + ": " + code.message());
  llvm::Error error = objcopy::executeObjcopyOnBinary(config, *input->getBinary(), out);
  Status written = closeFile(out, output);
  if (error)
    return linkError("cannot copy " + object, std::move(error));
  return written;
}

Status native::writeArchive(const std::string &object, const std::string &memberName,
                            const std::string &output) {
  auto member = llvm::NewArchiveMember::getFile(object, /*Deterministic=*/true);
  if (!member)
    return linkError("cannot read " + object, member.takeError());
  member->MemberName = memberName;
  std::vector<llvm::NewArchiveMember> members;
  members.push_back(std::move(*member));
  // Not writeArchive, which ends the process when the disk is full.
  std::error_code code;
  llvm::raw_fd_ostream out(output, code);
  if (code)
    return ioError("cannot write " + output + ": " + code.message());
  llvm::Error error = llvm::writeArchiveToStream(
      out, members, llvm::SymtabWritingMode::NormalSymtab, llvm::object::Archive::K_GNU,
      /*Deterministic=*/true, /*Thin=*/false);
  QUERN_TRY(closeFile(out, output));
  return error ? linkError("cannot write " + output, std::move(error)) : Status::ok();
}

Expected<std::vector<std::string>> native::undefinedSymbols(const std::string &object) {
  auto input = llvm::object::ObjectFile::createObjectFile(object);
  if (!input)
    return linkError("cannot read " + object, input.takeError());
  std::vector<std::string> names;
  for (const llvm::object::SymbolRef &symbol : input->getBinary()->symbols()) {
    auto flags = symbol.getFlags();
    if (!flags)
      return linkError(object, flags.takeError());
    auto name = symbol.getName();
    if (!name)
      return linkError(object, name.takeError());
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty())
      names.push_back(name->str());
  }
  return names;
}
