//===- ChildProcess.cpp - this program, once more -------------------------===//
#include "tools/quern/ChildProcess.h"

#include "quern/Progress.h"
#include "quern/Statistics.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace quern;
using namespace quern::cli;

extern char **environ;

static constexpr const char *kProgram = "/proc/self/exe";

static Expected<pid_t> start(const std::vector<std::string> &arguments, const std::string &errors) {
  std::vector<char *> argv = {const_cast<char *>("quern")};
  for (const std::string &argument : arguments)
    argv.push_back(const_cast<char *>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  int error = posix_spawn(&child, kProgram, &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0)
    return ioError(fmt::format("cannot start {}: {}", kProgram, std::strerror(error)));
  return child;
}

static std::string lastOf(const std::string &path) {
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
  Expected<pid_t> child = start(arguments, errors);
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
  end.message = lastOf(errors);
  return end;
}
