//===- CommandServer.cpp - runs many command lines of quern -----------------===//
// Reads command lines from stdin, one a line: a JSON array of arguments. Each runs in a child
// that is forked, not started, so that LLVM is loaded once for all of them. Answers each with a
// line on stdout, {"code": exit code or -signal, "said": what it printed}. A child that takes
// longer than the number of seconds in argv[1] ends by SIGALRM.
#include "tools/quern/CommandLine.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

/// In the child: everything that is printed goes to `output`.
[[noreturn]] static void runCommand(const std::vector<std::string> &arguments, std::FILE *output,
                                    unsigned seconds) {
  alarm(seconds);
  for (int stream : {STDOUT_FILENO, STDERR_FILENO})
    if (dup2(fileno(output), stream) < 0)
      std::abort();
  std::vector<const char *> argv{"quern"};
  for (const std::string &argument : arguments)
    argv.push_back(argument.c_str());
  std::exit(quern::cli::runCommandLine(static_cast<int>(argv.size()), argv.data()));
}

static std::string readAll(std::FILE *file) {
  std::string text;
  char buffer[4096];
  std::rewind(file);
  while (size_t size = std::fread(buffer, 1, sizeof buffer, file))
    text.append(buffer, size);
  return text;
}

/// Exit code, or minus the signal; and what the command printed.
static nlohmann::json answer(const std::vector<std::string> &arguments, unsigned seconds) {
  std::FILE *output = std::tmpfile();
  pid_t child = output ? fork() : -1;
  if (child == 0)
    runCommand(arguments, output, seconds);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child)
    std::abort();
  std::string said = readAll(output);
  std::fclose(output);
  return {{"code", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)}, {"said", said}};
}

int main(int argc, char **argv) {
  const unsigned seconds = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0;
  for (std::string line; std::getline(std::cin, line);)
    // Names of models may be of any bytes; what they print must not end the server.
    std::cout << answer(nlohmann::json::parse(line), seconds)
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << std::endl;
  return 0;
}
