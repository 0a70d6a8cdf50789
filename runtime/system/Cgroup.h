//===- Cgroup.h - the control groups this process is in -------------------===//
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace quern {

/// Where cgroups are mounted.
inline constexpr const char *kCgroupRoot = "/sys/fs/cgroup";

/// The text of /proc/self/cgroup.
std::string ownCgroups();

/// Calls `visit` with the directory of each group that may limit `controller` for a
/// process, ancestors included; `version` is 1 or 2. `procCgroup` is the text of
/// the process's /proc/.../cgroup. Directories may not exist.
void forEachCgroup(const std::string &root, std::string_view procCgroup,
                   std::string_view controller,
                   const std::function<void(const std::string &directory, int version)> &visit);

/// The bytes of memory that the cgroups of `procCgroup` grant: the least of all
/// limits. Nullopt when there is none.
std::optional<int64_t> cgroupMemoryBytes(const std::string &root, std::string_view procCgroup);

} // namespace quern
