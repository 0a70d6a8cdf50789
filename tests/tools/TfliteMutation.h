//===- TfliteMutation.h - damaged models of TensorFlow Lite ---------------===//
#pragma once

#include <random>
#include <string>

namespace quern::test {

/// One number and more of a model of TensorFlow Lite changed, most of them such as say what an op
/// does: its kind, its tensors, its options, shapes, types, scales. What is no such model has its
/// bytes changed.
std::string mutateTflite(std::string bytes, std::mt19937 &random);

} // namespace quern::test
