//===- KernelKey.cpp - what kernels are known by, in all processes --------===//
#include "backends/native/emit/KernelKey.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/TargetParser/Host.h"

#include <elf.h>
#include <link.h>
#include <span>

using namespace quern;
using namespace quern::native;

//===----------------------------------------------------------------------===//
// LLVM
//===----------------------------------------------------------------------===//

namespace {
/// The object of this process that holds an address, and the build that it says it is.
struct LoadedObject {
  uintptr_t address;
  std::string build = {};
};
} // namespace

/// What the notes of a segment say of the build.
static std::string buildOf(const char *notes, size_t bytes) {
  constexpr size_t kAlignment = 4;
  auto aligned = [](size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; };
  for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= bytes;) {
    const auto &note = *reinterpret_cast<const ElfW(Nhdr) *>(notes + at);
    size_t name = at + sizeof note, content = name + aligned(note.n_namesz);
    if (content + note.n_descsz > bytes)
      break;
    if (note.n_type == NT_GNU_BUILD_ID && llvm::StringRef(notes + name, note.n_namesz) ==
                                              llvm::StringRef(ELF_NOTE_GNU, sizeof ELF_NOTE_GNU))
      return std::string(notes + content, note.n_descsz);
    at = content + aligned(note.n_descsz);
  }
  return "";
}

static int lookAtObject(dl_phdr_info *info, size_t, void *wanted) {
  auto &object = *static_cast<LoadedObject *>(wanted);
  std::span<const ElfW(Phdr)> segments(info->dlpi_phdr, info->dlpi_phnum);
  auto holds = [&](const ElfW(Phdr) & segment) {
    return segment.p_type == PT_LOAD &&
           object.address - (info->dlpi_addr + segment.p_vaddr) < segment.p_memsz;
  };
  if (!llvm::any_of(segments, holds))
    return 0;
  for (const ElfW(Phdr) & segment : segments)
    if (segment.p_type == PT_NOTE && object.build.empty())
      // The dynamic linker tells where it has put a segment as a number.
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      object.build = buildOf(reinterpret_cast<const char *>(info->dlpi_addr + segment.p_vaddr),
                             segment.p_memsz);
  return 1;
}

/// The build of what holds LLVM's code: its library, or what it is linked into. MLIR's archives
/// are built with it. Empty when the linker was told to leave it out.
static const std::string &llvmBuild() {
  static const std::string build = [] {
    LoadedObject object{reinterpret_cast<uintptr_t>(&llvm::sys::getHostCPUName)};
    dl_iterate_phdr(lookAtObject, &object);
    return object.build;
  }();
  return build;
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

KernelSurroundings::KernelSurroundings(const Target &target, std::string_view build)
    : lasting(!llvmBuild().empty()) {
  FieldBytes fields(text);
  fields.write(target);
  fields.write(build);
  fields.write(std::string_view(LLVM_VERSION_STRING));
  fields.write(llvmBuild());
}

KernelKey::KernelKey(const KernelSurroundings &surroundings, std::string_view spec) {
  std::string sizes;
  FieldBytes(sizes).write(surroundings.bytes().size());
  llvm::BLAKE3 hasher;
  for (std::string_view part :
       {std::string_view(sizes), std::string_view(surroundings.bytes()), spec})
    hasher.update(llvm::StringRef(part));
  hasher.final(hash);
}

std::string KernelKey::text() const { return llvm::toHex(hash, /*LowerCase=*/true); }
