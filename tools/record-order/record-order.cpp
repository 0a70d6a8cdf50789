//===- record-order.cpp - which functions a program calls, in order -------===//
//
//   record-order OUT RUNS PROGRAM ARGUMENTS...
//
// Runs PROGRAM as often as RUNS says and writes the names of the functions that it calls to OUT,
// each where it is called first: those of the last run, then those of the others. Linkers lay
// functions out by such lists, so that a start reads a few pages instead of one here and there of
// all (cmake/QuernFunctionOrder.cmake).
//
// The program begins with a breakpoint at each of its functions, which goes when it is hit. Where
// that is not allowed the list is empty, and a line says so.
//
//===----------------------------------------------------------------------===//
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

constexpr uint8_t kBreakpoint = 0xcc; // int3

/// What a program has at an address that it was linked for.
struct Function {
  std::string name;
  uint8_t firstByte = 0;
  bool isCalled = false;
};

struct Program {
  uint64_t entry = 0;
  std::unordered_map<uint64_t, Function> functions;
};

template <typename T> T valueAt(const std::vector<char> &bytes, uint64_t offset) {
  T value{};
  if (offset <= bytes.size() && sizeof(T) <= bytes.size() - offset)
    memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

/// The functions of the symbol table of an ELF file of this machine.
Program readProgram(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto header = valueAt<Elf64_Ehdr>(bytes, 0);
  std::vector<Elf64_Shdr> sections;
  for (unsigned i = 0; i != header.e_shnum; ++i)
    sections.push_back(valueAt<Elf64_Shdr>(bytes, header.e_shoff + i * sizeof(Elf64_Shdr)));
  Program program;
  program.entry = header.e_entry;
  for (const Elf64_Shdr &table : sections) {
    if (table.sh_type != SHT_SYMTAB || table.sh_link >= sections.size())
      continue;
    uint64_t names = sections[table.sh_link].sh_offset;
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
      auto symbol = valueAt<Elf64_Sym>(bytes, table.sh_offset + at);
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF ||
          symbol.st_shndx >= sections.size() || names + symbol.st_name >= bytes.size())
        continue;
      const Elf64_Shdr &section = sections[symbol.st_shndx];
      if (!(section.sh_flags & SHF_EXECINSTR) || symbol.st_size == 0)
        continue;
      uint64_t offset = symbol.st_value - section.sh_addr + section.sh_offset;
      const char *name = bytes.data() + names + symbol.st_name;
      program.functions.try_emplace(
          symbol.st_value,
          Function{.name = {name, strnlen(name, bytes.data() + bytes.size() - name)},
                   .firstByte = valueAt<uint8_t>(bytes, offset)});
    }
  }
  return program;
}

/// Where the program lies, minus where it was linked for.
std::optional<uint64_t> loadOffset(pid_t process, uint64_t entry) {
  std::ifstream file("/proc/" + std::to_string(process) + "/auxv", std::ios::binary);
  Elf64_auxv_t value;
  while (file.read(reinterpret_cast<char *>(&value), sizeof value))
    if (value.a_type == AT_ENTRY)
      return value.a_un.a_val - entry;
  return std::nullopt;
}

/// A run of a program, traced.
class TracedRun {
public:
  TracedRun(Program &program, std::vector<std::string> &order) : program(program), order(order) {}

  /// Runs `arguments`; returns whether the program could be traced and succeeded.
  bool run(char **arguments);

private:
  bool begin(char **arguments);
  bool setBreakpoints();
  bool writeByte(pid_t thread, uint64_t address, uint8_t byte);
  int signalFor(pid_t thread, int status);
  bool leaveBreakpoint(pid_t thread);

  Program &program;
  std::vector<std::string> &order;
  pid_t process = -1;
  uint64_t offset = 0;
};

bool TracedRun::begin(char **arguments) {
  process = fork();
  if (process == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0)
      execv(arguments[0], arguments);
    _exit(127);
  }
  int status = 0;
  if (process < 0 || waitpid(process, &status, 0) != process || !WIFSTOPPED(status))
    return false;
  constexpr long kOptions =
      PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
  bool isTraced = ptrace(PTRACE_SETOPTIONS, process, nullptr, kOptions) == 0 && setBreakpoints() &&
                  ptrace(PTRACE_CONT, process, nullptr, nullptr) == 0;
  if (!isTraced && kill(process, SIGKILL) == 0)
    waitpid(process, &status, 0);
  return isTraced;
}

bool TracedRun::setBreakpoints() {
  std::optional<uint64_t> found = loadOffset(process, program.entry);
  if (!found)
    return false;
  offset = *found;
  for (auto &[address, function] : program.functions) {
    function.isCalled = false;
    if (!writeByte(process, offset + address, kBreakpoint))
      return false;
  }
  return true;
}

bool TracedRun::writeByte(pid_t thread, uint64_t address, uint8_t byte) {
  uint64_t word = address & ~uint64_t{7};
  errno = 0;
  auto old = static_cast<uint64_t>(ptrace(PTRACE_PEEKTEXT, thread, word, nullptr));
  if (errno != 0)
    return false;
  uint64_t shift = 8 * (address - word);
  uint64_t wanted = (old & ~(uint64_t{0xff} << shift)) | uint64_t{byte} << shift;
  return ptrace(PTRACE_POKETEXT, thread, word, wanted) == 0;
}

/// Takes the breakpoint away that `thread` has run into; false where it was none.
bool TracedRun::leaveBreakpoint(pid_t thread) {
  user_regs_struct registers{};
  if (ptrace(PTRACE_GETREGS, thread, nullptr, &registers) != 0)
    return false;
  uint64_t address = registers.rip - 1;
  auto found = program.functions.find(address - offset);
  if (found == program.functions.end())
    return false;
  Function &function = found->second;
  // Two threads may have run into it, and a forked process has it still.
  writeByte(thread, address, function.firstByte);
  registers.rip = address;
  ptrace(PTRACE_SETREGS, thread, nullptr, &registers);
  if (!std::exchange(function.isCalled, true))
    order.push_back(function.name);
  return true;
}

/// The signal that a thread which has stopped goes on with.
int TracedRun::signalFor(pid_t thread, int status) {
  int signal = WSTOPSIG(status);
  if (signal == SIGTRAP)
    return status >> 16 != 0 || leaveBreakpoint(thread) ? 0 : SIGTRAP;
  return signal == SIGSTOP ? 0 : signal; // new threads begin with that
}

bool TracedRun::run(char **arguments) {
  if (!begin(arguments))
    return false;
  bool succeeds = false;
  int status = 0;
  while (pid_t thread = waitpid(-1, &status, __WALL)) {
    if (thread < 0)
      break;
    if (WIFSTOPPED(status))
      ptrace(PTRACE_CONT, thread, nullptr, signalFor(thread, status));
    else if (thread == process)
      succeeds = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return succeeds;
}

/// The functions of `runs` runs: of the last one, then of those before.
std::optional<std::vector<std::string>> record(int runs, char **arguments) {
  Program program = readProgram(arguments[0]);
  std::vector<std::vector<std::string>> orders(runs);
  for (std::vector<std::string> &order : orders)
    if (program.functions.empty() || !TracedRun(program, order).run(arguments))
      return std::nullopt;
  std::vector<std::string> all;
  std::set<std::string> seen;
  for (auto order = orders.rbegin(); order != orders.rend(); ++order)
    for (std::string &name : *order)
      if (seen.insert(name).second)
        all.push_back(std::move(name));
  return all;
}

} // namespace

int main(int argc, char **argv) {
  int runs = argc > 3 ? atoi(argv[2]) : 0;
  if (runs < 1) {
    fputs("usage: record-order OUT RUNS PROGRAM ARGUMENTS...\n", stderr);
    return 2;
  }
  std::optional<std::vector<std::string>> order = record(runs, argv + 3);
  if (!order)
    fprintf(stderr,
            "record-order: %s cannot be traced here, or fails: its functions stay in the linker's "
            "order\n",
            argv[3]);
  std::ofstream out(argv[1]);
  for (const std::string &name : order.value_or(std::vector<std::string>{}))
    out << name << '\n';
  return out.flush() ? 0 : 1;
}
