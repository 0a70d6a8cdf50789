//===- FileGuard.cpp - no output takes the place of another file ----------===//
#include "quern/FileGuard.h"

#include <algorithm>
#include <filesystem>
#include <sys/stat.h>

using namespace quern;
namespace fs = std::filesystem;

/// Without links and "..", as far as it exists.
static fs::path resolve(const fs::path &path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  fs::path resolved = fs::weakly_canonical(absolute, error);
  return error ? absolute.lexically_normal() : resolved;
}

/// The path of a folder without the slashes at its end.
static fs::path withoutSlash(const std::string &path) {
  size_t last = path.find_last_not_of('/');
  return last == std::string::npos ? path : path.substr(0, last + 1);
}

FileGuard::Place FileGuard::placeOf(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0)
    return {info.st_dev, info.st_ino, ""};
  fs::path name = withoutSlash(path);
  fs::path folder = resolve(name.has_parent_path() ? name.parent_path() : ".");
  if (stat(folder.c_str(), &info) == 0)
    return {info.st_dev, info.st_ino, name.filename()};
  return {0, 0, folder / name.filename()};
}

std::vector<FileGuard::Place> FileGuard::foldersAround(const std::string &path) {
  std::vector<Place> folders;
  fs::path at = resolve(withoutSlash(path));
  while (at != at.parent_path()) {
    at = at.parent_path();
    folders.push_back(placeOf(at));
  }
  return folders;
}

bool FileGuard::collide(const Entry &one, const Entry &other) {
  if (one.use == Use::Read && other.use == Use::Read)
    return false;
  auto fills = [](const Entry &folder, const Entry &file) {
    return folder.use == Use::Fill &&
           std::ranges::find(file.folders, folder.place) != file.folders.end();
  };
  return one.place == other.place || fills(one, other) || fills(other, one);
}

Status FileGuard::add(Use use, const std::string &what, const std::string &path) {
  Entry added{use, what, path, placeOf(path), foldersAround(path)};
  for (const Entry &entry : entries) {
    if (!collide(added, entry))
      continue;
    bool isRead = use == Use::Read;
    const Entry &writer = isRead ? entry : added, &kept = isRead ? added : entry;
    return usageError("the " + writer.what + " '" + writer.path + "' would replace the " +
                      kept.what + " '" + kept.path + "'");
  }
  entries.push_back(std::move(added));
  return Status::ok();
}

Status FileGuard::reads(const std::string &what, const std::string &path) {
  return add(Use::Read, what, path);
}

Status FileGuard::writes(const std::string &what, const std::string &path) {
  return add(Use::Write, what, path);
}

Status FileGuard::fills(const std::string &what, const std::string &folder) {
  return add(Use::Fill, what, folder);
}
