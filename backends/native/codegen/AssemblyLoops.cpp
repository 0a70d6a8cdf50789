//===- AssemblyLoops.cpp - the inner loops of x86-64 assembly -------------===//
#include "backends/native/codegen/AssemblyLoops.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <utility>

using namespace quern;
using namespace quern::native;
using llvm::StringRef;

std::vector<AssemblyLoop> native::innermostLoops(const std::string &assembly) {
  static const std::regex label(R"(^(\.LBB\w+):)"), jump(R"(^\s*j\w+\s+(\.LBB\w+))");
  std::vector<std::string> lines;
  std::map<std::string, size_t> labels; // of the function so far
  struct Span {
    size_t begin, end;
    std::string label;
  };
  std::vector<Span> found;
  std::istringstream text(assembly);
  for (std::string line; std::getline(text, line); lines.push_back(line)) {
    std::smatch match;
    if (std::regex_search(line, match, label))
      labels[match[1]] = lines.size();
    else if (std::regex_search(line, match, jump) && labels.count(match[1]))
      found.push_back({labels[match[1]], lines.size(), match[1]});
    else if (line.starts_with(".Lfunc_end"))
      labels.clear();
  }
  std::vector<AssemblyLoop> loops;
  for (const Span &span : found) {
    auto isInside = [&](const Span &other) {
      return (other.begin != span.begin || other.end != span.end) && span.begin <= other.begin &&
             other.end <= span.end;
    };
    if (std::none_of(found.begin(), found.end(), isInside))
      loops.push_back({span.label,
                       {lines.begin() + static_cast<std::ptrdiff_t>(span.begin) + 1,
                        lines.begin() + static_cast<std::ptrdiff_t>(span.end)}});
  }
  return loops;
}

int64_t AssemblyLoop::count(const std::string &instruction) const {
  std::regex line("^\\s*" + instruction + "\\s");
  return std::count_if(lines.begin(), lines.end(),
                       [&](const std::string &text) { return std::regex_search(text, line); });
}

//===----------------------------------------------------------------------===//
// What instructions do
//===----------------------------------------------------------------------===//

namespace {
struct Instruction {
  StringRef name;
  /// As the assembly has them: sources first.
  std::vector<StringRef> operands;
};
} // namespace

/// nullopt of what is none: labels, directives, comments.
static std::optional<Instruction> parse(StringRef line) {
  line = line.split('#').first.trim();
  if (line.empty() || line.starts_with(".") || line.ends_with(":"))
    return std::nullopt;
  size_t end = line.find_first_of(" \t");
  Instruction result{line.substr(0, end), {}};
  StringRef rest = end == StringRef::npos ? "" : line.substr(end).trim();
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= rest.size() && !rest.empty(); ++i) {
    if (i == rest.size() || (rest[i] == ',' && depth == 0)) {
      result.operands.push_back(rest.substr(begin, i - begin).trim());
      begin = i + 1;
    } else {
      depth += (rest[i] == '(') - (rest[i] == ')');
    }
  }
  return result;
}

static bool isMemory(StringRef operand) { return operand.contains('('); }

/// Of the widest register that it names; a tile has 16 rows of 64.
static int64_t registerBytes(const Instruction &instruction) {
  int64_t bytes = 0;
  for (StringRef operand : instruction.operands)
    for (auto [name, size] : {std::pair("%tmm", 1024), {"%zmm", 64}, {"%ymm", 32}, {"%xmm", 16}})
      if (operand.contains(name))
        bytes = std::max<int64_t>(bytes, size);
  return bytes;
}

/// Of an element, where the name ends with its type: "ps", "pd", "ss", "sd".
static int64_t elementBytes(StringRef name) { return name.ends_with("d") ? 8 : 4; }
static bool isScalar(StringRef name) { return name.ends_with("ss") || name.ends_with("sd"); }

static int64_t flopsOf(const Instruction &instruction) {
  static const std::regex multiplyAdd(R"(vfn?m(add|sub)\d+[ps][sd])"),
      one(R"(v?(add|sub|mul|div|max|min|sqrt|rcp14|rsqrt14|scalef)[ps][sd])");
  std::string name = instruction.name.str();
  int64_t bytes = registerBytes(instruction);
  int64_t lanes = isScalar(name) ? 1 : bytes / elementBytes(name);
  if (std::regex_match(name, multiplyAdd))
    return 2 * lanes;
  if (std::regex_match(name, one))
    return lanes;
  if (name == "vdpbf16ps" || name.starts_with("vpdpws") || name == "vpmaddwd")
    return bytes; // two products for each four bytes
  if (name.starts_with("vpdpbu") || name.starts_with("vpdpbs"))
    return 2 * bytes;
  if (name.starts_with("tdpb"))
    return 16 * 16 * (name.ends_with("ps") ? 32 : 64) * 2;
  return 0;
}

/// The bytes that an operand in memory has.
static int64_t memoryBytes(const Instruction &instruction, StringRef operand) {
  StringRef name = instruction.name;
  bool isWide = name.ends_with("pd") || name.ends_with("q");
  if (operand.contains("{1to"))
    return isWide ? 8 : 4;
  int64_t bytes = registerBytes(instruction);
  if (bytes == 0) { // of general registers
    switch (name.empty() ? 'q' : name.back()) {
    case 'b':
      return 1;
    case 'w':
      return 2;
    case 'l':
      return 4;
    default:
      return 8;
    }
  }
  if (isScalar(name))
    return elementBytes(name);
  if (name.starts_with("vbroadcast") || name.starts_with("vpbroadcast")) {
    size_t parts = name.rfind('x');
    int64_t lanes = 1;
    if (parts != StringRef::npos && !name.substr(parts + 1).getAsInteger(10, lanes))
      return lanes * (name.contains("64x") ? 8 : 4);
    return name.ends_with("b")              ? 1
           : name.ends_with("w")            ? 2
           : isWide || name.ends_with("sd") ? 8
                                            : 4;
  }
  if (name == "vcvtph2ps" || name.ends_with("wd") || name.ends_with("bw"))
    return name.starts_with("vpmov") || name == "vcvtph2ps" ? bytes / 2 : bytes;
  if (name.starts_with("vpmov") && name.ends_with("bd"))
    return bytes / 4;
  return bytes;
}

KernelLoop AssemblyLoop::facts() const {
  KernelLoop result{.label = label};
  for (const std::string &line : lines) {
    std::optional<Instruction> instruction = parse(line);
    if (!instruction)
      continue;
    ++result.instructions;
    result.flops += flopsOf(*instruction);
    StringRef name = instruction->name;
    if (name.starts_with("lea") || name.starts_with("prefetch") || name.starts_with("nop"))
      continue;
    for (size_t i = 0; i < instruction->operands.size(); ++i) {
      StringRef operand = instruction->operands[i];
      if (!isMemory(operand))
        continue;
      int64_t bytes = memoryBytes(*instruction, operand);
      bool isLast = i + 1 == instruction->operands.size();
      bool isStore = isLast && i > 0 && !name.starts_with("cmp") && !name.starts_with("test");
      (isStore ? result.stores : result.loads) += 1;
      (isStore ? result.storedBytes : result.loadedBytes) += bytes;
      result.spills += operand.contains("%rsp") && registerBytes(*instruction) > 0;
    }
  }
  ++result.instructions; // the jump
  return result;
}
