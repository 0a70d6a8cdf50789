//===- Npz.h - NumPy's archives of arrays ---------------------------------===//
#pragma once

#include "quern/Limits.h"
#include "quern/Tensor.h"
#include "tools/quern/FileIo.h"

#include <string>
#include <vector>

namespace quern::cli {

struct NamedArray {
  std::string name;
  Tensor tensor;
};

/// The arrays of a .npz file (a ZIP archive of .npy files, stored or deflated).
/// InvalidInput says what is wrong, and with which array.
Expected<std::vector<NamedArray>> parseNpz(const FileBytes &file, const Limits &limits = {});

/// Writes a .npz file, not compressed.
Status writeNpz(AtomicFile &file, const std::vector<NamedArray> &arrays);

} // namespace quern::cli
