//===- AotWeights.cpp - packed weights as an object file ------------------===//
#include "backends/native/aot/AotWeights.h"

#include "backends/native/codegen/CloseFile.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <fmt/format.h>

#include <limits>

using namespace quern;
using namespace quern::native;

/// Code reaches its data with signed 32-bit distances; the rest of the program
/// lies within them too.
constexpr int64_t kMaxWeightBytes = (int64_t{1} << 31) - (int64_t{1} << 27);

Expected<WeightLayout> native::layOutWeights(std::span<const Tensor> tensors, bool inFile) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const int64_t limit = inFile ? kMost : kMaxWeightBytes;
  WeightLayout layout;
  for (const Tensor &tensor : tensors) {
    auto [it, isNew] =
        layout.offsets.try_emplace({tensor.rawData(), tensor.numBytes()}, layout.bytes);
    if (!isNew)
      continue;
    layout.tensors.push_back(tensor);
    CheckedSize end =
        (CheckedSize(layout.bytes) + tensor.numBytes()).alignedTo(WeightLayout::kAlignment);
    if (!end.valid() || end.value() > limit)
      return unsupported(
          fmt::format("the packed weights take more than {} bytes, which is all that compiled "
                      "code can address as part of a program; --weights=file has no such limit",
                      kMaxWeightBytes));
    layout.bytes = end.value();
  }
  return layout;
}

void native::writeTensors(llvm::raw_ostream &out, const WeightLayout &layout) {
  for (const Tensor &tensor : layout.tensors) {
    auto size = static_cast<size_t>(tensor.numBytes());
    out.write(static_cast<const char *>(tensor.rawData()), size);
    out.write_zeros(static_cast<unsigned>(llvm::alignTo<WeightLayout::kAlignment>(size) - size));
  }
}

namespace {
/// The parts of a relocatable ELF file with one section of data, in file order.
struct WeightsObject {
  enum Section : uint16_t { Null, Data, Symbols, Strings, SectionNames, Note, Count };

  WeightsObject(const WeightLayout &layout, const std::string &symbol, Target::Arch arch);
  void write(llvm::raw_ostream &out, const WeightLayout &layout) const;

  llvm::ELF::Elf64_Ehdr header = {};
  llvm::ELF::Elf64_Shdr sections[Count] = {};
  llvm::ELF::Elf64_Sym symbols[2] = {};
  std::string strings;
  std::string sectionNames;
};
} // namespace

WeightsObject::WeightsObject(const WeightLayout &layout, const std::string &symbol,
                             Target::Arch arch) {
  using namespace llvm::ELF;
  strings = '\0' + symbol + '\0';
  symbols[1].st_name = 1;
  symbols[1].setBindingAndType(STB_GLOBAL, STT_OBJECT);
  symbols[1].st_other = STV_HIDDEN;
  symbols[1].st_shndx = Data;
  symbols[1].st_size = static_cast<uint64_t>(layout.bytes);

  sectionNames.push_back('\0');
  uint64_t offset = WeightLayout::kAlignment;
  static_assert(sizeof(Elf64_Ehdr) <= WeightLayout::kAlignment);
  auto place = [&](Section section, const char *name, unsigned type, uint64_t size,
                   uint64_t alignment) -> Elf64_Shdr & {
    Elf64_Shdr &entry = sections[section];
    entry.sh_name = static_cast<Elf64_Word>(sectionNames.size());
    sectionNames.append(name).push_back('\0');
    entry.sh_type = type;
    entry.sh_offset = offset;
    entry.sh_size = size;
    entry.sh_addralign = alignment;
    offset += size;
    return entry;
  };
  auto bytes = static_cast<uint64_t>(layout.bytes);
  place(Data, ".rodata.quern", SHT_PROGBITS, bytes, WeightLayout::kAlignment).sh_flags = SHF_ALLOC;
  Elf64_Shdr &table = place(Symbols, ".symtab", SHT_SYMTAB, sizeof symbols, 8);
  table.sh_entsize = sizeof(Elf64_Sym);
  table.sh_link = Strings;
  table.sh_info = 1; // the first symbol that is not local
  place(Strings, ".strtab", SHT_STRTAB, strings.size(), 1);
  // Without this section some linkers make the stack executable.
  place(Note, ".note.GNU-stack", SHT_PROGBITS, 0, 1);
  Elf64_Shdr &names = place(SectionNames, ".shstrtab", SHT_STRTAB, 0, 1);
  names.sh_size = sectionNames.size();
  offset += names.sh_size;

  std::copy_n(ElfMagic, 4, header.e_ident);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = arch == Target::Arch::Aarch64 ? EM_AARCH64 : EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = Count;
  header.e_shstrndx = SectionNames;
  header.e_shoff = llvm::alignTo<8>(offset);
}

void WeightsObject::write(llvm::raw_ostream &out, const WeightLayout &layout) const {
  auto bytes = [&](const void *data, size_t size) {
    out.write(static_cast<const char *>(data), size);
  };
  bytes(&header, sizeof header);
  out.write_zeros(WeightLayout::kAlignment - sizeof header);
  writeTensors(out, layout);
  bytes(symbols, sizeof symbols);
  out << strings << sectionNames;
  out.write_zeros(static_cast<unsigned>(header.e_shoff - out.tell()));
  bytes(sections, sizeof sections);
}

Status native::writeWeightsObject(const std::string &path, const WeightLayout &layout,
                                  const std::string &symbol, Target::Arch arch) {
  std::error_code error;
  llvm::raw_fd_ostream out(path, error);
  if (error)
    return ioError("cannot write " + path + ": " + error.message());
  WeightsObject(layout, symbol, arch).write(out, layout);
  return closeFile(out, path);
}
