//===- AttributeReads.cpp - kernels read the attributes that ops have -----===//
//
// Part of test programs that interpret models: a misspelt name in a reference kernel, or a read
// as another type, gives the default silently, but fails the test here.
//
//===----------------------------------------------------------------------===//
#include "runtime/reference/Evaluator.h"

#include <gtest/gtest.h>

using quern::reference::Attributes;

namespace {
class AttributeReads : public testing::Environment {
  void SetUp() override {
    Attributes::onMisread = [](std::string_view name) {
      ADD_FAILURE() << "a kernel reads '" << name
                    << "', which its op has no attribute of, or one of another type";
    };
  }
  void TearDown() override { Attributes::onMisread = nullptr; }
};
} // namespace

[[maybe_unused]] static testing::Environment *const registered =
    testing::AddGlobalTestEnvironment(new AttributeReads);
