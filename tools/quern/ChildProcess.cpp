//===- ChildProcess.cpp - other processes ---------------------------------===//
#include "tools/quern/ChildProcess.h"

#include "quern/Progress.h"
#include "quern/Statistics.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

extern char **environ;

static constexpr const char *kProgram = "/proc/self/exe";

Expected<TemporaryPath> cli::makeFolder(const std::string &near) {
  TemporaryPath folder =
      TemporaryPath::create(near, [](const char *path) { return mkdir(path, 0700) == 0; });
  if (folder.path().empty())
    return ioError(fmt::format("cannot make a folder beside '{}': {}", near, std::strerror(errno)));
  return folder;
}

static void connect(posix_spawn_file_actions_t &files, int descriptor, int to, int mode) {
  if (descriptor < 0)
    posix_spawn_file_actions_addopen(&files, to, "/dev/null", mode, 0);
  else
    posix_spawn_file_actions_adddup2(&files, descriptor, to);
}

Expected<pid_t> cli::startProcess(const std::string &program,
                                  const std::vector<std::string> &arguments,
                                  const ProcessFiles &streams) {
  std::vector<char *> argv = {const_cast<char *>(program.c_str())};
  for (const std::string &argument : arguments)
    argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  connect(files, streams.input, STDIN_FILENO, O_RDONLY);
  connect(files, streams.output, STDOUT_FILENO, O_WRONLY);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, streams.errors.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  int error = posix_spawnp(&child, program.c_str(), &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0)
    return ioError(fmt::format("cannot start {}: {}", program, std::strerror(error)));
  return child;
}

std::string cli::endOfErrors(const std::string &path) {
  constexpr std::streamoff kMost = 4096;
  std::ifstream file(path, std::ios::binary);
  file.seekg(0, std::ios::end);
  file.seekg(std::max<std::streamoff>(file.tellg() - kMost, 0));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Expected<ProcessEnd> cli::runQuern(const std::vector<std::string> &arguments,
                                   const std::string &folder, double seconds) {
  constexpr useconds_t kPause = 2000;
  std::string errors = folder + "/errors.txt";
  // Crashes are what is looked for: none of them is to leave a core file.
  rlimit before = {};
  getrlimit(RLIMIT_CORE, &before);
  rlimit none = {0, before.rlim_max};
  setrlimit(RLIMIT_CORE, &none);
  Expected<pid_t> child = startProcess(kProgram, arguments, {.errors = errors});
  setrlimit(RLIMIT_CORE, &before);
  if (!child)
    return child.status();
  ProcessEnd end;
  Stopwatch watch;
  Status status;
  int code = 0;
  while (waitpid(*child, &code, WNOHANG) == 0) {
    status = ProgressScope::check("reducing");
    end.isTooLate = watch.milliseconds() > seconds * 1e3;
    if (!status.isOk() || end.isTooLate) {
      kill(*child, SIGKILL);
      waitpid(*child, &code, 0);
      break;
    }
    usleep(kPause);
  }
  QUERN_TRY(status);
  end.exitCode = WIFEXITED(code) ? WEXITSTATUS(code) : 0;
  end.signal = WIFSIGNALED(code) ? WTERMSIG(code) : 0;
  if (end.exitCode == static_cast<int>(StatusCode::Cancelled))
    return Status(StatusCode::Cancelled, "interrupted");
  end.message = endOfErrors(errors);
  return end;
}
