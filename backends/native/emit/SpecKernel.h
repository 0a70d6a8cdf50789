//===- SpecKernel.h - kernels of specs ------------------------------------===//
//
// A spec is a struct that says what shapes a kernel's code: its fields (QUERN_FIELDS), the
// family it is of (kFamily, which no other spec has), a name to read, and the code.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "backends/native/emit/KernelBuilder.h"
#include "backends/native/target/Fields.h"
#include "backends/plan/LoweredStep.h"

namespace quern::native {

// The vocabulary of lowerings and kernels.
using plan::KernelSpec;
using plan::LoweredStep;
using plan::LoweredSteps;
using plan::LoweringResult;
using plan::Misfit;
using plan::oneStep;
using plan::setShares;
using plan::StepBuffer;

/// What the native backend emits kernels from.
class NativeKernelSource : public plan::KernelSource {
public:
  virtual void emit(KernelBuilder &kb) const = 0;
  /// Spec::kFamily of the spec, and the spec.
  virtual std::string_view family() const = 0;
  virtual const void *specOfFamily() const = 0;
};

/// The spec of a native step's kernel, where it is one of this type; null otherwise.
template <typename Spec> const Spec *specOf(const KernelSpec &kernel) {
  const auto &source = static_cast<const NativeKernelSource &>(*kernel.source);
  return source.family() == Spec::kFamily ? static_cast<const Spec *>(source.specOfFamily())
                                          : nullptr;
}

/// Emits the kernel of a native step.
inline void emitKernel(const KernelSpec &kernel, KernelBuilder &kb) {
  static_cast<const NativeKernelSource &>(*kernel.source).emit(kb);
}

/// The kernel that `spec` describes, by a name of the caller's.
template <typename Spec> KernelSpec kernelOf(Spec spec, std::string name) {
  class Source final : public NativeKernelSource {
  public:
    explicit Source(Spec spec) : spec(std::move(spec)) {}
    void emit(KernelBuilder &kb) const override { spec.emit(kb); }
    std::string_view family() const override { return Spec::kFamily; }
    const void *specOfFamily() const override { return &spec; }
    std::string text() const override {
      std::string text(Spec::kFamily);
      Spec::visitFields(spec, FieldText(text));
      return text;
    }

  private:
    Spec spec;
  };
  std::string key(Spec::kFamily);
  constexpr size_t kCommonKeyBytes = 200;
  key.reserve(kCommonKeyBytes);
  key += '\0';
  Spec::visitFields(spec, FieldBytes(key));
  return {std::move(name), std::move(key), std::make_shared<const Source>(std::move(spec))};
}
template <typename Spec> KernelSpec kernelOf(Spec spec) {
  std::string name = spec.name();
  return kernelOf(std::move(spec), std::move(name));
}

} // namespace quern::native
