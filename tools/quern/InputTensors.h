//===- InputTensors.h - what a model is run on ----------------------------===//
#pragma once

#include "quern/ImageInput.h"
#include "quern/SampleInputs.h"
#include "tools/quern/Console.h"
#include "tools/quern/ImageArguments.h"
#include "tools/quern/TableColumns.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace quern::cli {

struct InputOptions {
  /// NAME=FILE, NAME=random, NAME=zeros, FILE, a folder of test data, random, zeros. A file may be
  /// an image or a table.
  std::vector<std::string> given;
  /// Whether numbers of other types are converted to the model's.
  bool cast = false;
  uint64_t seed = 0;
  /// The model's file, whose metadata may say how it takes images; empty when it is not known.
  std::string model = {};
  /// How it takes them; this comes before the metadata.
  ImageArguments images = {};
  TableOptions table = {};
};

/// What to do about inputs that no --input names.
enum class MissingInputs { Refuse, Random };

/// Sizes of symbolic dimensions.
using SymbolSizes = std::map<std::string, int64_t>;

/// Reads or makes one value per port and checks them all. A dimension that neither the
/// files nor the command line give is that of `defaults`, or 1, with a note. `guard` is told of
/// the files, unless null.
Expected<std::vector<AnyValue>> makeInputs(std::span<const PortSignature> ports,
                                           const InputOptions &options, MissingInputs missing,
                                           const OutputStyle &style, const Limits &limits = {},
                                           const SymbolSizes &defaults = {},
                                           FileGuard *guard = nullptr);

} // namespace quern::cli
