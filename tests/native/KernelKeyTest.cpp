//===- KernelKeyTest.cpp - whatever shapes code is part of its key --------===//
#include "backends/native/emit/KernelKey.h"
#include "backends/native/emit/SpecKernel.h"
#include "backends/native/kernels/AttentionKernel.h"
#include "backends/native/kernels/CopyKernels.h"
#include "backends/native/kernels/CumulateKernel.h"
#include "backends/native/kernels/DotKernel.h"
#include "backends/native/kernels/GatherChannelsKernel.h"
#include "backends/native/kernels/GridSampleKernel.h"
#include "backends/native/kernels/IndexedKernels.h"
#include "backends/native/kernels/LineConvKernel.h"
#include "backends/native/kernels/MaxPlaceKernel.h"
#include "backends/native/kernels/MoveKernels.h"
#include "backends/native/kernels/NormalizationKernels.h"
#include "backends/native/kernels/PoolKernel.h"
#include "backends/native/kernels/RangeKernel.h"
#include "backends/native/kernels/RecurrentKernel.h"
#include "backends/native/kernels/ReduceKernel.h"
#include "backends/native/kernels/ResampleKernel.h"
#include "backends/native/kernels/RoiAlignKernel.h"
#include "backends/native/kernels/RowDotKernel.h"
#include "backends/native/kernels/SoftmaxKernel.h"
#include "backends/native/kernels/TiledDotKernel.h"
#include "backends/native/kernels/TopKKernel.h"
#include "backends/native/kernels/TreeKernel.h"
#include "backends/native/kernels/WindowSumKernel.h"

#include <gtest/gtest.h>
#include <set>

using namespace quern;
using namespace quern::native;

namespace {
constexpr int64_t kOtherHeights[] = {9, 2};

/// Changes one field of a spec, of those in it too. A list gets another element, and each
/// element it has is changed by itself.
class FieldChange {
public:
  explicit FieldChange(int64_t wanted) : wanted(wanted) {}

  template <typename... Fields> void operator()(std::string_view, Fields &...fields) {
    (visit(fields), ...);
  }
  bool isDone() const { return next > wanted; }

private:
  template <typename T> void visit(T &field) {
    if constexpr (HasFields<T>) {
      T::visitFields(field, *this);
    } else if constexpr (std::is_array_v<T>) {
      for (auto &element : field)
        visit(element);
    } else if constexpr (Optional<T>) {
      if (next++ == wanted)
        field ? field.reset() : void(field.emplace());
      else if (field)
        visit(*field);
    } else if constexpr (requires { field.push_back({}); } && !std::same_as<T, std::string>) {
      if (next++ == wanted)
        return field.push_back({});
      for (auto &element : field)
        visit(element);
    } else if (next++ == wanted) {
      change(field);
    }
  }
  void change(bool &field) { field = !field; }
  void change(TileHeights &field) { field = kOtherHeights; }
  void change(llvm::StringRef &field) { field = "other"; }
  void change(std::string &field) { field += "other"; }
  template <typename T> void change(T &field) {
    if constexpr (std::is_enum_v<T>)
      field = static_cast<T>(static_cast<int64_t>(field) == 0);
    else
      field += 1;
  }

  int64_t wanted, next = 0;
};

template <typename Spec> class KernelKeyTest : public testing::Test {};
using Specs =
    testing::Types<ArgSpec, AttentionSpec, CopySpec, CumulateSpec, DotSpec, GatherChannelsSpec,
                   GridSampleSpec, IndexedSpec, InstanceNormSpec, LayerNormSpec, LineConvSpec,
                   LrnSpec, MapSpec, MaxPlaceSpec, PackColumnsSpec, PadHaloSpec, PoolSpec,
                   RangeSpec, RecurrentSpec, ReduceSpec, ResampleSpec, RoiAlignSpec, RowDotSpec,
                   SoftmaxSpec, TakePixelsSpec, TopKSpec, TransposeSpec, TreeSpec, UnfoldSpec,
                   WindowSumSpec, TiledDotSpec>;
TYPED_TEST_SUITE(KernelKeyTest, Specs);

/// Gives every list and optional of a spec something.
struct Filling {
  template <typename... Fields> void operator()(std::string_view, Fields &...fields) const {
    (visit(fields), ...);
  }
  template <typename T> void visit(T &field) const {
    if constexpr (HasFields<T>) {
      T::visitFields(field, *this);
    } else if constexpr (Optional<T>) {
      visit(field.emplace());
    } else if constexpr (requires { field.push_back({}); } && !std::same_as<T, std::string>) {
      field.push_back({});
      visit(field.back());
    }
  }
};
} // namespace

TYPED_TEST(KernelKeyTest, EveryFieldIsInTheKey) {
  TypeParam filled{};
  TypeParam::visitFields(filled, Filling());
  for (const TypeParam &plain : {TypeParam{}, filled}) {
    auto keyAndText = [](const TypeParam &spec) {
      KernelSpec kernel = kernelOf(spec, "name");
      return std::pair(kernel.key, kernel.source->text());
    };
    auto [key, text] = keyAndText(plain);
    EXPECT_EQ(keyAndText(TypeParam(plain)), std::pair(key, text));
    std::set<std::string> keys = {key}, texts = {text};
    int64_t changes = 0;
    for (;; ++changes) {
      TypeParam changed = plain;
      FieldChange change(changes);
      TypeParam::visitFields(changed, change);
      if (!change.isDone())
        break;
      auto [otherKey, otherText] = keyAndText(changed);
      EXPECT_TRUE(keys.insert(otherKey).second) << text << " and " << otherText;
      EXPECT_TRUE(texts.insert(otherText).second) << otherText;
    }
    EXPECT_GT(changes, 0);
  }
}

namespace {
template <typename... Spec> std::set<std::string> families(testing::Types<Spec...>) {
  return {std::string(Spec::kFamily)...};
}
template <typename... Spec> size_t count(testing::Types<Spec...>) { return sizeof...(Spec); }
} // namespace

TEST(KernelKey, NoTwoSpecsAreOfOneFamily) { EXPECT_EQ(families(Specs()).size(), count(Specs())); }

TEST(KernelKey, TextNamesFields) {
  DotSpec spec;
  spec.heights = kOtherHeights;
  spec.tile.levels.push_back({.trip = 3});
  EXPECT_EQ(kernelOf(spec, "").source->text(),
            "dot(tile=(types=(a=float32, b=float32, accumulate=float32, c=float32), lanes=16, "
            "vectors=2, levels=[(trip=3, strideA=-1, unroll=1, hasStrideB=false)], rowStrideA=-1, "
            "packedB=true, group=1, partialGroup=false, lastSteps=0, lastElements=0, "
            "linesAhead=0, chains=1), "
            "heights=[9, 2], flat=false, rowStrideC=-1, contiguousColumns=false, "
            "groupsRepeat=false, maskColumns=false, clipsRows=false, bias=none, "
            "scaledBlocks=false, shiftedBlocks=false, widensPanel=false, splitsK=false, "
            "epilogue=(program=(inputs=[], "
            "ops=[], results=[], wholeInputs=[], fractions=[], flushesHalves=false), access=[]))");
}

// The symbol of a kernel is a hash of its spec, of the target and of the build.
TEST(KernelKey, SymbolsFollowFromSpecAndTarget) {
  Target host = resolveTarget("host").take();
  std::string plain = KernelKey(KernelSurroundings(host), "spec").symbol();
  EXPECT_EQ(plain, KernelKey(KernelSurroundings(host), "spec").symbol());
  EXPECT_TRUE(plain.starts_with("quern_k_")) << plain;
  EXPECT_EQ(plain.size(), 48u);
  std::set<std::string> symbols = {plain, KernelKey(KernelSurroundings(host), "spec2").symbol()};
  for (int64_t i = 0;; ++i) {
    Target other = host;
    FieldChange change(i);
    Target::visitFields(other, change);
    if (!change.isDone())
      break;
    symbols.insert(KernelKey(KernelSurroundings(other), "spec").symbol());
    EXPECT_EQ(symbols.size(), 3 + static_cast<size_t>(i));
  }
  EXPECT_EQ(kEmitterBuild.size(), 64u);
  EXPECT_TRUE(KernelSurroundings(host).areLasting()) << "is LLVM built without a build id?";
}
