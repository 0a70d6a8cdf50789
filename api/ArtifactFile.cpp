//===- ArtifactFile.cpp - a library in this process -----------------------===//
#include "api/ArtifactFile.h"

#include "api/ChoiceReport.h"
#include "backends/native/aot/AotWeightsFile.h"
#include "quern/CheckedSize.h"
#include "quern/RandomSeed.h"
#include "runtime/plan/Plan.h"

#include "llvm/Object/ELFObjectFile.h"

#include <fmt/format.h>

#include <atomic>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <set>
#include <unistd.h>

using namespace quern;
using llvm::object::ELF64LEFile;

/// What the linker calls the functions of a model in a library, whatever its prefix.
static constexpr const char *kInfo = "quern_model_info", *kCpuOk = "quern_model_cpu_ok",
                            *kRunParallel = "quern_model_run_parallel",
                            *kUseWeights = "quern_model_use_weights",
                            *kUseRandom = "quern_model_use_random";

static Status incompatible(std::string message) {
  return {StatusCode::Incompatible, std::move(message)};
}

static Status foreign(const std::string &why) {
  return invalidModel("this is no library that quern compile has made: " + why);
}

static Status damaged(const std::string &why) {
  return invalidModel("the library is damaged or not whole: " + why);
}

//===----------------------------------------------------------------------===//
// The file, before it is loaded: the loader of the system crashes on damaged ones
//===----------------------------------------------------------------------===//

static Status damaged(llvm::Error error) { return damaged(llvm::toString(std::move(error))); }

/// All that is mapped, and the sections, lie in the file.
static Status checkExtents(const ELF64LEFile &file, size_t fileBytes) {
  auto lies = [&](CheckedSize offset, CheckedSize size) {
    CheckedSize end = offset + size;
    return end.valid() && end.value() <= static_cast<int64_t>(fileBytes);
  };
  auto segments = file.program_headers();
  if (!segments)
    return damaged(segments.takeError());
  for (const auto &segment : *segments)
    if (!lies(uint64_t(segment.p_offset), uint64_t(segment.p_filesz)) ||
        segment.p_filesz > segment.p_memsz)
      return damaged("a segment ends behind the end of the file");
  auto sections = file.sections();
  if (!sections)
    return damaged(sections.takeError());
  for (const auto &section : *sections)
    if (section.sh_type != llvm::ELF::SHT_NOBITS &&
        !lies(uint64_t(section.sh_offset), uint64_t(section.sh_size)))
      return damaged("a section ends behind the end of the file");
  return Status::ok();
}

/// The names of functions and data that a library defines for others.
static Expected<std::set<std::string>> dynamicSymbols(const ELF64LEFile &file) {
  auto sections = file.sections();
  if (!sections)
    return damaged(sections.takeError());
  std::set<std::string> names;
  for (const auto &section : *sections) {
    if (section.sh_type != llvm::ELF::SHT_DYNSYM)
      continue;
    auto symbols = file.symbols(&section);
    if (!symbols)
      return damaged(symbols.takeError());
    auto strings = file.getStringTableForSymtab(section);
    if (!strings)
      return damaged(strings.takeError());
    for (const auto &symbol : *symbols) {
      auto name = symbol.getName(*strings);
      if (!name)
        return damaged(name.takeError());
      if (symbol.isDefined())
        names.insert(name->str());
    }
  }
  return names;
}

/// What libraries of this process are for.
#if defined(__aarch64__)
static constexpr uint16_t kMachine = llvm::ELF::EM_AARCH64;
#else
static constexpr uint16_t kMachine = llvm::ELF::EM_X86_64;
#endif

static Status checkElf(llvm::StringRef bytes) {
  if (bytes.size() < sizeof(ELF64LEFile::Elf_Ehdr) || !bytes.starts_with("\x7f"
                                                                         "ELF"))
    return foreign("it does not begin as one");
  if (bytes[llvm::ELF::EI_CLASS] != llvm::ELF::ELFCLASS64 ||
      bytes[llvm::ELF::EI_DATA] != llvm::ELF::ELFDATA2LSB)
    return incompatible("the library is not for 64-bit little-endian processors");
  auto file = ELF64LEFile::create(bytes);
  if (!file)
    return damaged(file.takeError());
  if (file->getHeader().e_type != llvm::ELF::ET_DYN)
    return foreign("it is an object file or a program");
  if (file->getHeader().e_machine != kMachine)
    return incompatible(
        fmt::format("the library is for {}; this is a process for {}",
                    llvm::ELF::convertEMachineToArchName(file->getHeader().e_machine).str(),
                    llvm::ELF::convertEMachineToArchName(kMachine).str()));
  QUERN_TRY(checkExtents(*file, bytes.size()));
  QUERN_ASSIGN(std::set<std::string> symbols, dynamicSymbols(*file));
  for (const char *wanted : {kInfo, kCpuOk, kRunParallel})
    if (!symbols.count(wanted))
      return foreign(fmt::format("it has no function {}", wanted));
  return Status::ok();
}

Status ArtifactFile::checkFile() const {
  auto buffer = llvm::MemoryBuffer::getOpenFile(descriptor.get(), path, /*FileSize=*/-1,
                                                /*RequiresNullTerminator=*/false);
  if (!buffer)
    return ioError("cannot be read: " + buffer.getError().message());
  return checkElf((*buffer)->getBuffer());
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

/// A path of the open file that nobody has had before: the loader takes a name that it
/// knows for the file it knows, and the numbers of descriptors are used again.
static std::string uniquePath(int descriptor) {
  static std::atomic<uint64_t> opened = 0;
  std::string path = "/proc/self/fd/";
  for (uint64_t number = ++opened; number != 0; number >>= 1)
    path += number % 2 ? "./" : ".//";
  return path + std::to_string(descriptor);
}

Status ArtifactFile::load() {
  // By the descriptor: the file that was checked, even if another one has its name by now.
  std::string name = uniquePath(descriptor.get());
  if (access(name.c_str(), R_OK) != 0)
    name = path.find('/') == std::string::npos ? "./" + path : path;
  library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  return library ? Status::ok() : damaged(dlerror());
}

static Expected<PortSignature> readPort(const quern_model_port &port) {
  if (!port.name || port.rank < 0 || port.rank > 64 || (port.rank > 0 && !port.dims) ||
      port.bytes < 0 || !isDTypeNumber(port.dtype) ||
      static_cast<DType>(port.dtype) == DType::String)
    return damaged("a port is described wrongly");
  std::vector<PortDim> dims;
  CheckedSize bytes = dtypeBytes(static_cast<DType>(port.dtype));
  for (int32_t d = 0; d < port.rank; ++d)
    if (port.dims[d] == -1 && port.dim_names) {
      dims.push_back(PortDim::symbol(port.dim_names[d] ? port.dim_names[d] : ""));
    } else {
      bytes = bytes * CheckedSize(port.dims[d]);
      dims.push_back(port.dims[d]);
    }
  PortShape shape(std::move(dims));
  if (!bytes.valid() || (shape.isStatic() && bytes.value() != port.bytes))
    return damaged(fmt::format("'{}' has sizes that do not fit", port.name));
  return PortSignature(port.name, static_cast<DType>(port.dtype), std::move(shape));
}

static Expected<std::vector<PortSignature>> readPorts(const quern_model_port *ports,
                                                      int32_t count) {
  if (count < 0 || count > 65536 || (count > 0 && !ports))
    return damaged("it has no inputs or outputs");
  std::vector<PortSignature> result;
  for (int32_t i = 0; i < count; ++i) {
    QUERN_ASSIGN(PortSignature port, readPort(ports[i]));
    result.push_back(std::move(port));
  }
  return result;
}

/// The dims of the ports of a plan, which fit those of all plans.
static Expected<std::vector<Tensor::Dims>> readDims(const quern_model_port *ports,
                                                    std::span<const PortSignature> general) {
  QUERN_ASSIGN(std::vector<PortSignature> known,
               readPorts(ports, static_cast<int32_t>(general.size())));
  std::vector<Tensor::Dims> dims;
  for (size_t i = 0; i < known.size(); ++i) {
    std::optional<Tensor::Dims> sizes = known[i].shape.sizes();
    bool fits = sizes && known[i].dtype == general[i].dtype &&
                known[i].shape.rank() == general[i].shape.rank();
    for (int64_t d = 0; fits && d < known[i].shape.rank(); ++d)
      fits = general[i].shape[d].compatibleWith(known[i].shape[d]);
    if (!fits)
      return damaged(fmt::format("'{}' differs between its plans", general[i].name));
    dims.push_back(std::move(*sizes));
  }
  return dims;
}

/// The inputs in whose memory outputs may be made, which are like them.
static Expected<std::vector<std::optional<uint32_t>>>
readUpdates(const quern_model_port *outputs, const ArtifactPlan &plan, const ArtifactFacts &facts) {
  std::vector<std::optional<uint32_t>> updates(plan.outputDims.size());
  for (size_t i = 0; i < updates.size(); ++i) {
    if (outputs[i].updates < 0)
      continue;
    auto input = static_cast<size_t>(outputs[i].updates);
    auto port = [](const PortSignature &known, const Tensor::Dims &dims) {
      return PlanPort{.name = known.name, .dtype = known.dtype, .dims = dims};
    };
    if (input >= plan.inputDims.size() ||
        !continues(port(facts.outputs[i], plan.outputDims[i]),
                   port(facts.inputs[input], plan.inputDims[input])))
      return damaged(fmt::format("'{}' cannot update an input", facts.outputs[i].name));
    updates[i] = static_cast<uint32_t>(input);
  }
  return updates;
}

/// Reads the sizes that there are plans for, and the plans.
static Status readPlans(const quern_model_info &model, ArtifactFacts &facts) {
  if (model.size_count < 0 || model.size_count > 1024 || model.plan_count < 1 ||
      model.plan_count > kMaxListedSizes || (model.size_count > 0 && !model.size_names) ||
      !model.plans)
    return damaged("its plans are described wrongly");
  auto count = static_cast<size_t>(model.size_count);
  std::vector<std::vector<int64_t>> sizes;
  for (const quern_model_plan &plan :
       std::span(model.plans, static_cast<size_t>(model.plan_count))) {
    if (count > 0 && !plan.sizes)
      return damaged("a plan has no sizes");
    sizes.emplace_back(plan.sizes, plan.sizes + count);
    QUERN_ASSIGN(std::vector<Tensor::Dims> inputs, readDims(plan.inputs, facts.inputs));
    QUERN_ASSIGN(std::vector<Tensor::Dims> outputs, readDims(plan.outputs, facts.outputs));
    ArtifactPlan made{std::move(inputs), std::move(outputs), {}};
    QUERN_ASSIGN(made.updates, readUpdates(plan.outputs, made, facts));
    facts.plans.push_back(std::move(made));
  }
  for (size_t i = 0; i < count; ++i) {
    if (!model.size_names[i])
      return damaged("a size has no name");
    std::set<int64_t> listed;
    for (const std::vector<int64_t> &each : sizes)
      listed.insert(each[i]);
    facts.sizes.push_back({model.size_names[i], {listed.begin(), listed.end()}});
  }
  auto combinations = combineSizes(facts.sizes);
  return combinations && *combinations == sizes
             ? Status::ok()
             : damaged("its plans are not those of all combinations of sizes");
}

/// Of the generator of this process, which `quern::seedRandomOps` starts anew.
static void drawHere(void *, uint64_t *seed, uint64_t *number) {
  RandomDraw draw = nextRandomDraw();
  *seed = draw.seed;
  *number = draw.number;
}

Status ArtifactFile::findFunctions() {
  auto info = reinterpret_cast<const quern_model_info *(*)()>(dlsym(library, kInfo));
  cpuOk = reinterpret_cast<int (*)()>(dlsym(library, kCpuOk));
  runParallel = dlsym(library, kRunParallel);
  const quern_model_info *model = info && cpuOk && runParallel ? info() : nullptr;
  if (!model)
    return damaged("it does not say what it holds");
  if (model->abi_version != QUERN_MODEL_ABI_VERSION)
    return incompatible(fmt::format(
        "the library has version {} of the interface between models and programs, this Quern has "
        "{}; compile the model again",
        model->abi_version, QUERN_MODEL_ABI_VERSION));
  if (!model->name || !model->target_cpu || !model->precision || !model->precision_choice ||
      model->workspace_bytes < 0 || model->worker_bytes < 0 || model->weights_bytes < 0 ||
      (model->weights_bytes > 0 && !dlsym(library, kUseWeights)) ||
      model->workspace_alignment != QUERN_MODEL_WORKSPACE_ALIGNMENT)
    return damaged("what it says of itself makes no sense");
  auto precision = parsePrecision(model->precision);
  if (!precision)
    return damaged(precision.status().message());
  QUERN_ASSIGN(facts.inputs, readPorts(model->inputs, model->input_count));
  QUERN_ASSIGN(facts.outputs, readPorts(model->outputs, model->output_count));
  facts.name = model->name;
  facts.targetCpu = model->target_cpu;
  facts.precision = *precision;
  if (*model->precision_choice) {
    std::optional<PrecisionChoice> choice = readChoice(model->precision_choice);
    if (!choice)
      return damaged("what it says of its precision makes no sense");
    facts.choice = std::move(choice);
  }
  facts.abiVersion = model->abi_version;
  facts.workspaceBytes = model->workspace_bytes;
  facts.workerBytes = model->worker_bytes;
  facts.weightsBytes = model->weights_bytes;
  using UseRandom = int(quern_random_fn, void *);
  if (auto useRandom = reinterpret_cast<UseRandom *>(dlsym(library, kUseRandom)))
    useRandom(drawHere, nullptr);
  return readPlans(*model, facts);
}

int ArtifactFile::run(const int64_t *sizes, const void *const *inputs, void *const *outputs,
                      void *workspace, quern_parallel_for_fn parallelFor, void *context) const {
  using Fixed = int(const void *const *, void *const *, void *, quern_parallel_for_fn, void *);
  using Sized = int(const int64_t *, const void *const *, void *const *, void *,
                    quern_parallel_for_fn, void *);
  if (facts.sizes.empty())
    return reinterpret_cast<Fixed *>(runParallel)(inputs, outputs, workspace, parallelFor, context);
  return reinterpret_cast<Sized *>(runParallel)(sizes, inputs, outputs, workspace, parallelFor,
                                                context);
}

Expected<std::unique_ptr<ArtifactFile>> ArtifactFile::open(const std::string &path) {
  std::unique_ptr<ArtifactFile> file(new ArtifactFile(path));
  auto named = [&](const Status &status) { return status.withContext(path); };
  auto opened = openRegularFile(path);
  if (!opened)
    return opened.status().withContext("cannot read '" + path + "'");
  file->descriptor = std::move(opened->descriptor);
  QUERN_TRY(named(file->checkFile()));
  QUERN_TRY(named(file->load()));
  QUERN_TRY(named(file->findFunctions()));
  return file;
}

//===----------------------------------------------------------------------===//
// Weights in a file
//===----------------------------------------------------------------------===//

Status ArtifactFile::useWeights() {
  if (facts.weightsBytes == 0)
    return Status::ok();
  std::string weightsPath = native::weightsPath(path);
  auto opened = openRegularFile(weightsPath);
  if (!opened)
    return opened.status().withContext("cannot read the weights '" + weightsPath + "'");
  QUERN_ASSIGN(weights, MappedFile::map(opened->descriptor, opened->size));
  auto use = reinterpret_cast<int (*)(const void *, int64_t)>(dlsym(library, kUseWeights));
  int status = use(weights->bytes().data(), opened->size);
  if (status != QUERN_MODEL_OK)
    return incompatible(fmt::format(
        "'{}' are not the weights that {} was compiled with{}", weightsPath, path,
        opened->size == facts.weightsBytes
            ? ""
            : fmt::format(": wanted {} bytes, found {}", facts.weightsBytes, opened->size)));
  return Status::ok();
}

ArtifactFile::~ArtifactFile() {
  if (library)
    dlclose(library);
}

bool quern::isLibraryFile(const std::string &path) {
  auto file = openRegularFile(path);
  char magic[4] = {};
  ssize_t got = file ? read(file->descriptor.get(), magic, sizeof magic) : 0;
  return got == sizeof magic && std::memcmp(magic,
                                            "\x7f"
                                            "ELF",
                                            sizeof magic) == 0;
}

Expected<ArtifactFacts> quern::inspectArtifact(const std::string &path) {
  QUERN_ASSIGN(std::unique_ptr<ArtifactFile> file, ArtifactFile::open(path));
  return std::move(file->facts);
}
