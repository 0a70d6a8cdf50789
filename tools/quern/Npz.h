//===- Npz.h - NumPy's archives of arrays ---------------------------------===//
#pragma once

#include "quern/AnyValue.h"
#include "quern/Limits.h"
#include "quern/Tensor.h"
#include "tools/quern/FileIo.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace quern::cli {

struct NamedArray {
  std::string name;
  Tensor tensor;
};

/// The arrays of a .npz file (a ZIP archive of .npy files, stored or deflated), which together
/// may take Limits::maxActivationBytes.
/// InvalidInput says what is wrong, and with which array.
Expected<std::vector<NamedArray>> readNpz(const std::string &path, const Limits &limits = {});

/// Writes a .npz file, not compressed. Unsupported for names that are longer than it can have.
Status writeNpz(AtomicFile &file, const std::vector<NamedArray> &arrays);

/// The file has these values then, or is as it was. Unsupported also for what is no tensor.
Status writeNpz(const std::string &path, std::span<const std::pair<std::string, AnyValue>> values);

} // namespace quern::cli
