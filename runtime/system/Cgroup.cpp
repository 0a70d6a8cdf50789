//===- Cgroup.cpp - the control groups this process is in -----------------===//
#include "runtime/system/Cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <vector>

using namespace quern;

std::string quern::ownCgroups() {
  std::ifstream file("/proc/self/cgroup");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void quern::forEachCgroup(
    const std::string &root, std::string_view procCgroup, std::string_view controller,
    const std::function<void(const std::string &directory, int version)> &visit) {
  std::istringstream lines{std::string(procCgroup)};
  for (std::string line; std::getline(lines, line);) {
    // "hierarchy:controllers:path"; v2 has no controllers.
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos)
      continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    bool v2 = controllers.empty();
    std::string wanted(controller);
    if (!v2 && ("," + controllers + ",").find("," + wanted + ",") == std::string::npos)
      continue;
    std::vector<std::string> mounts =
        v2 ? std::vector{root, root + "/unified"}
           : std::vector{root + "/" + wanted, root + "/" + controllers};
    // A limit of any ancestor binds. In a container the path may be the host's
    // and not exist; the walk then ends at the mount, which is the container's.
    while (true) {
      for (const std::string &mount : mounts)
        visit(mount + path, v2 ? 2 : 1);
      size_t slash = path.rfind('/');
      if (slash == std::string::npos)
        break;
      path.resize(slash);
    }
  }
}

/// The number a file begins with; nullopt for "max" and where there is no file.
static std::optional<int64_t> readBytes(const std::string &path) {
  std::ifstream file(path);
  std::string text;
  int64_t value = 0;
  if (!(file >> text) ||
      std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc() || value < 0)
    return std::nullopt;
  return value;
}

std::optional<int64_t> quern::cgroupMemoryBytes(const std::string &root,
                                                std::string_view procCgroup) {
  std::optional<int64_t> least;
  forEachCgroup(root, procCgroup, "memory", [&](const std::string &directory, int version) {
    // "No limit" of v1 is a number near INT64_MAX.
    auto bytes = readBytes(directory + (version == 2 ? "/memory.max" : "/memory.limit_in_bytes"));
    if (bytes)
      least = std::min(least.value_or(*bytes), *bytes);
  });
  return least;
}
