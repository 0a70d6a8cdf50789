//===- Peer.cpp - another inference system beside this one ----------------===//
#include "tools/quern/Peer.h"

#include "tools/quern/ChildProcess.h"
#include "tools/quern/FileIo.h"
#include "tools/quern/Npz.h"
#include "tools/quern/PeerTexts.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;
using Json = nlohmann::ordered_json;

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
  QUERN_ASSIGN(TemporaryPath made,
               makeFolder(std::filesystem::temp_directory_path().string() + "/peer"));
  folder.emplace(std::move(made));
  QUERN_TRY(writeFile(path("systems.py"), kPeerSystems));
  return writeFile(path("worker.py"), kPeerWorker);
}

Status Peer::Process::spawn(const std::string &python, const std::string &model, int threads) {
  int toChild[2], fromChild[2];
  if (pipe2(toChild, O_CLOEXEC) != 0 || pipe2(fromChild, O_CLOEXEC) != 0)
    return ioError(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  Expected<pid_t> started =
      startProcess(python,
                   {"-B", path("worker.py"), system, std::filesystem::absolute(model).string(),
                    path("inputs.npz"), std::to_string(threads)},
                   {.input = toChild[0], .output = fromChild[1], .errors = path("errors.txt")});
  close(toChild[0]);
  close(fromChild[1]);
  questions = fdopen(toChild[1], "w");
  answers = fdopen(fromChild[0], "r");
  if (!started)
    return Status(StatusCode::Incompatible,
                  fmt::format("{}: {} (QUERN_PYTHON names another Python)", system,
                              started.status().message()));
  child = *started;
  return Status::ok();
}

Expected<Json> Peer::Process::answer() {
  std::string line;
  for (int c; (c = std::fgetc(answers)) != EOF && c != '\n';)
    line += static_cast<char>(c);
  Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    // The last line of a Python traceback says what was wrong.
    std::string said = endOfErrors(path("errors.txt"));
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

Expected<Peer> Peer::start(const std::string &system, const std::string &model,
                           std::span<const PortSignature> ports, std::span<const AnyValue> inputs,
                           int threads) {
  const char *given = std::getenv("QUERN_PYTHON");
  auto process = std::make_unique<Process>();
  process->system = system;
  QUERN_TRY(process->writeScripts());
  std::vector<std::pair<std::string, AnyValue>> named;
  for (size_t i = 0; i < ports.size(); ++i)
    named.emplace_back(ports[i].name, inputs[i]);
  QUERN_TRY(writeNpz(process->path("inputs.npz"), named).withContext(system));
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
