//===- Peer.cpp - another inference system beside this one ----------------===//
#include "tools/quern/Peer.h"

#include "quern/TemporaryPath.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/Npz.h"
#include "tools/quern/PeerTexts.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

extern char **environ;

std::vector<std::string> cli::peerNames() { return {"onnxruntime", "openvino", "openvino-f32"}; }

//===----------------------------------------------------------------------===//
// The process
//===----------------------------------------------------------------------===//

/// Answers a line for each line that it is sent.
struct Peer::Process {
  std::string system;
  /// Scripts, inputs and outputs, and what it has written to standard error.
  std::optional<TemporaryPath> folder;
  pid_t child = -1;
  std::FILE *questions = nullptr, *answers = nullptr;

  ~Process() {
    if (questions)
      std::fclose(questions);
    if (answers)
      std::fclose(answers);
    if (child > 0) {
      kill(child, SIGTERM);
      waitpid(child, nullptr, 0);
    }
  }
  std::string path(const char *name) const { return folder->path() + "/" + name; }
  Status writeScripts();
  Status spawn(const std::string &python, const std::string &model, int threads);
  Expected<Json> answer();
  Expected<Json> ask(const std::string &question);
};

Status Peer::Process::writeScripts() {
  std::string near = std::filesystem::temp_directory_path().string() + "/peer";
  folder.emplace(
      TemporaryPath::create(near, [](const char *path) { return mkdir(path, 0700) == 0; }));
  if (folder->path().empty())
    return ioError(fmt::format("cannot make a folder in {}: {}",
                               std::filesystem::temp_directory_path().string(),
                               std::strerror(errno)));
  QUERN_TRY(writeFile(path("systems.py"), kPeerSystems));
  return writeFile(path("worker.py"), kPeerWorker);
}

Status Peer::Process::spawn(const std::string &python, const std::string &model, int threads) {
  int toChild[2], fromChild[2];
  if (pipe2(toChild, O_CLOEXEC) != 0 || pipe2(fromChild, O_CLOEXEC) != 0)
    return ioError(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  std::string worker = path("worker.py"), inputs = path("inputs.npz"), errors = path("errors.txt"),
              count = std::to_string(threads), file = std::filesystem::absolute(model).string();
  const char *argv[] = {python.c_str(), "-B",           worker.c_str(), system.c_str(),
                        file.c_str(),   inputs.c_str(), count.c_str(),  nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, toChild[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, fromChild[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  int error = posix_spawnp(&child, python.c_str(), &files, nullptr, const_cast<char *const *>(argv),
                           environ);
  posix_spawn_file_actions_destroy(&files);
  close(toChild[0]);
  close(fromChild[1]);
  questions = fdopen(toChild[1], "w");
  answers = fdopen(fromChild[0], "r");
  if (error != 0) {
    child = -1;
    return Status(StatusCode::Incompatible,
                  fmt::format("cannot run {} for {}: {} (QUERN_PYTHON names another)", python,
                              system, std::strerror(error)));
  }
  return Status::ok();
}

Expected<Json> Peer::Process::answer() {
  std::string line;
  for (int c; (c = std::fgetc(answers)) != EOF && c != '\n';)
    line += static_cast<char>(c);
  Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    Expected<FileBytes> errors = readFile(path("errors.txt"), int64_t{1} << 20);
    std::string said(errors ? reinterpret_cast<const char *>(errors->data.get()) : "",
                     errors ? errors->size : 0);
    // The last line of a Python traceback says what was wrong.
    said.erase(said.find_last_not_of('\n') + 1);
    said = said.substr(said.find_last_of('\n') + 1);
    return Status(StatusCode::Incompatible,
                  fmt::format("{} has ended: {}", system, said.empty() ? "it said nothing" : said));
  }
  if (auto error = json.find("error"); error != json.end())
    return Status(StatusCode::Incompatible,
                  fmt::format("{}: {}", system, error->get<std::string>()));
  return json;
}

Expected<Json> Peer::Process::ask(const std::string &question) {
  // SIGPIPE is what a child that has ended would bring.
  auto before = std::signal(SIGPIPE, SIG_IGN);
  std::fputs((question + "\n").c_str(), questions);
  std::fflush(questions);
  std::signal(SIGPIPE, before);
  return answer();
}

//===----------------------------------------------------------------------===//
// The system
//===----------------------------------------------------------------------===//

Peer::Peer(std::unique_ptr<Process> p) : process(std::move(p)) {}
Peer::Peer(Peer &&) noexcept = default;
Peer::~Peer() = default;

static Status writeInputs(const std::string &path, const std::string &system,
                          std::span<const PortSignature> ports, std::span<const AnyValue> inputs) {
  std::vector<NamedArray> arrays;
  for (size_t i = 0; i < ports.size(); ++i) {
    const Tensor *tensor = inputs[i].asTensor();
    if (!tensor)
      return unsupported(
          fmt::format("input '{}' is no tensor: {} is not given others", ports[i].name, system));
    arrays.push_back({ports[i].name, *tensor});
  }
  QUERN_ASSIGN(AtomicFile file, AtomicFile::create(path));
  QUERN_TRY(writeNpz(file, arrays));
  return file.commit();
}

Expected<Peer> Peer::start(const std::string &system, const std::string &model,
                           std::span<const PortSignature> ports, std::span<const AnyValue> inputs,
                           int threads) {
  const char *given = std::getenv("QUERN_PYTHON");
  auto process = std::make_unique<Process>();
  process->system = system;
  QUERN_TRY(process->writeScripts());
  QUERN_TRY(writeInputs(process->path("inputs.npz"), system, ports, inputs));
  std::string python = given && *given ? given : "python3";
  QUERN_TRY(process->spawn(python, model, threads));
  Expected<Json> first = process->answer();
  if (!first && first.status().message().find("ModuleNotFoundError") != std::string::npos)
    return Status(
        StatusCode::Incompatible,
        fmt::format("{} (for {}: pip install numpy {}; QUERN_PYTHON names another Python)",
                    first.status().message(), python, system.substr(0, system.find('-'))));
  if (!first)
    return first.status();
  Peer peer(std::move(process));
  peer.title = system + " " + first->value("version", "");
  peer.load = first->value("load_ms", 0.0);
  return peer;
}

Expected<double> Peer::takeTurn(double seconds) {
  QUERN_ASSIGN(Json answer, process->ask(fmt::format("turn {}", seconds)));
  return answer.value("p50_ms", 0.0);
}

Expected<std::vector<AnyValue>> Peer::outputs(std::span<const PortSignature> ports) {
  std::string path = process->path("outputs.npz");
  QUERN_ASSIGN(Json answer, process->ask("save " + path));
  QUERN_ASSIGN(std::vector<NamedArray> arrays, readNpz(path));
  std::vector<AnyValue> values(ports.size());
  for (size_t i = 0; i < ports.size(); ++i)
    for (NamedArray &array : arrays)
      if (array.name == ports[i].name)
        values[i] = std::move(array.tensor);
  return values;
}
