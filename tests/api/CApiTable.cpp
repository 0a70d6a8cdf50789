//===- CApiTable.cpp - every function of quern.h, called wrongly ----------===//
//
// A new function gets a row here, or CApiTableTest fails: what objects it takes, and what it
// says when each other argument is missing or of a wrong size.
//
//===----------------------------------------------------------------------===//
#include "CApiTable.h"

#include "Models.h"

#include <limits>

using namespace quern::test;

// Of `o`, the objects; into `r`, the results.
#define CALL(...)                                                                                  \
  [](const CObjects &o, CResults &r) -> quern_status {                                             \
    (void)o;                                                                                       \
    (void)r;                                                                                       \
    return __VA_ARGS__;                                                                            \
  }

namespace {
constexpr int64_t kDims[4] = {1, 1, 8, 8}, kNegative[1] = {-1}, kTwo[1] = {2};
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kHuge[3] = {kMost, kMost, 2};
constexpr size_t kEnd = std::numeric_limits<size_t>::max();
const char *const kDigitsPath = kDigits.c_str();
const char *const kStrings[2] = {"a", nullptr};
float numbers[64];

/// An array of one value.
struct One {
  explicit One(const quern_value *value) : values{value} {}
  operator const quern_value * const *() const { return values; }
  const quern_value *values[1];
};

/// Options whose size was not set.
template <typename T> T unsized() {
  T options{};
  options.struct_size = 3;
  return options;
}
const auto kLoad = unsized<quern_load_options>();
const auto kCompile = unsized<quern_compile_options>();
const auto kFile = unsized<quern_file_options>();
const auto kSession = unsized<quern_session_options>();
const auto kCompare = unsized<quern_compare_options>();
const auto kBenchmark = unsized<quern_benchmark_options>();
constexpr quern_limits kLimits = {-1, 0, 0, 0, 0};
constexpr quern_shape kShape = {kNegative, 1};

const std::vector<CFunction> kFunctions = {
    {"quern_text_get",
     CALL(quern_text_get(o.text, &r.chars, &r.a)),
     "text",
     {{"chars is NULL", CALL(quern_text_get(o.text, nullptr, &r.a))}}},

    {"quern_model_load",
     CALL(quern_model_load(kDigitsPath, nullptr, &r.model)),
     "",
     {{"path is NULL", CALL(quern_model_load(nullptr, nullptr, &r.model))},
      {"model is NULL", CALL(quern_model_load(kDigitsPath, nullptr, nullptr))},
      {"struct_size", CALL(quern_model_load(kDigitsPath, &kLoad, &r.model))}}},
    {"quern_model_load_bytes",
     CALL(quern_model_load_bytes("x", 1, nullptr, &r.model)),
     "",
     {{"bytes is NULL", CALL(quern_model_load_bytes(nullptr, 4, nullptr, &r.model))},
      {"model is NULL", CALL(quern_model_load_bytes("x", 1, nullptr, nullptr))},
      {"struct_size", CALL(quern_model_load_bytes("x", 1, &kLoad, &r.model))}}},
    {"quern_model_port_counts",
     CALL(quern_model_port_counts(o.model, &r.a, &r.b)),
     "model",
     {{"inputs is NULL", CALL(quern_model_port_counts(o.model, nullptr, &r.b))},
      {"outputs is NULL", CALL(quern_model_port_counts(o.model, &r.a, nullptr))}}},
    {"quern_model_input",
     CALL(quern_model_input(o.model, 0, &r.port)),
     "model",
     {{"port is NULL", CALL(quern_model_input(o.model, 0, nullptr))},
      {"no port 1; there are 1", CALL(quern_model_input(o.model, 1, &r.port))}}},
    {"quern_model_output",
     CALL(quern_model_output(o.model, 0, &r.port)),
     "model",
     {{"port is NULL", CALL(quern_model_output(o.model, 0, nullptr))},
      {"there is no port", CALL(quern_model_output(o.model, kEnd, &r.port))}}},
    {"quern_model_sample_inputs",
     CALL(quern_model_sample_inputs(o.model, 0, &r.value, 1)),
     "model",
     {{"values is NULL", CALL(quern_model_sample_inputs(o.model, 0, nullptr, 1))},
      {"1 inputs, found room for 0", CALL(quern_model_sample_inputs(o.model, 0, nullptr, 0))},
      {"1 inputs, found room for 2", CALL(quern_model_sample_inputs(o.model, 0, &r.value, 2))}}},
    {"quern_inspect_file",
     CALL(quern_inspect_file(kDigitsPath, nullptr, &r.text)),
     "",
     {{"path is NULL", CALL(quern_inspect_file(nullptr, nullptr, &r.text))},
      {"json is NULL", CALL(quern_inspect_file(kDigitsPath, nullptr, nullptr))},
      {"no time limit", CALL(quern_inspect_file(kDigitsPath, &kLimits, &r.text))}}},
    {"quern_find_problems",
     CALL(quern_find_problems(kDigitsPath, nullptr, &r.text)),
     "",
     {{"path is NULL", CALL(quern_find_problems(nullptr, nullptr, &r.text))},
      {"json is NULL", CALL(quern_find_problems(kDigitsPath, nullptr, nullptr))},
      {"no time limit", CALL(quern_find_problems(kDigitsPath, &kLimits, &r.text))}}},
    {"quern_describe_host",
     CALL(quern_describe_host(&r.text)),
     "",
     {{"json is NULL", CALL(quern_describe_host(nullptr))}}},
    {"quern_measure_peak",
     CALL(quern_measure_peak(nullptr, &r.gflops)),
     "",
     {{"gflops is NULL", CALL(quern_measure_peak(nullptr, nullptr))}}},

    {"quern_model_compile",
     CALL(quern_model_compile(o.model, nullptr, &r.executable)),
     "model",
     {{"executable is NULL", CALL(quern_model_compile(o.model, nullptr, nullptr))},
      {"struct_size", CALL(quern_model_compile(o.model, &kCompile, &r.executable))}}},
    {"quern_model_compile_to_file",
     CALL(quern_model_compile_to_file(o.model, "x.so", nullptr, nullptr)),
     "model",
     {{"path is NULL", CALL(quern_model_compile_to_file(o.model, nullptr, nullptr, nullptr))},
      {"struct_size", CALL(quern_model_compile_to_file(o.model, "x.so", &kCompile, nullptr))},
      {"struct_size", CALL(quern_model_compile_to_file(o.model, "x.so", nullptr, &kFile))}}},
    {"quern_model_phase_text",
     CALL(quern_model_phase_text(o.model, "fused", nullptr, &r.text)),
     "model",
     {{"phase is NULL", CALL(quern_model_phase_text(o.model, nullptr, nullptr, &r.text))},
      {"no phase 'x'", CALL(quern_model_phase_text(o.model, "x", nullptr, &r.text))},
      {"text is NULL", CALL(quern_model_phase_text(o.model, "fused", nullptr, nullptr))},
      {"struct_size", CALL(quern_model_phase_text(o.model, "fused", &kCompile, &r.text))}}},
    {"quern_model_check",
     CALL(quern_model_check(o.model, nullptr, 0, nullptr, &r.text)),
     "model",
     {{"json is NULL", CALL(quern_model_check(o.model, nullptr, 0, nullptr, nullptr))},
      {"a size is below 0", CALL(quern_model_check(o.model, &kShape, 1, nullptr, &r.text))},
      {"struct_size", CALL(quern_model_check(o.model, nullptr, 0, &kCompile, &r.text))}}},
    {"quern_executable_load",
     CALL(quern_executable_load("missing.so", &r.executable)),
     "",
     {{"path is NULL", CALL(quern_executable_load(nullptr, &r.executable))},
      {"executable is NULL", CALL(quern_executable_load("x.so", nullptr))}}},
    {"quern_executable_port_counts",
     CALL(quern_executable_port_counts(o.executable, &r.a, &r.b)),
     "executable",
     {{"inputs is NULL", CALL(quern_executable_port_counts(o.executable, nullptr, &r.b))},
      {"outputs is NULL", CALL(quern_executable_port_counts(o.executable, &r.a, nullptr))}}},
    {"quern_executable_input",
     CALL(quern_executable_input(o.executable, 0, &r.port)),
     "executable",
     {{"port is NULL", CALL(quern_executable_input(o.executable, 0, nullptr))},
      {"there is no port", CALL(quern_executable_input(o.executable, kEnd, &r.port))}}},
    {"quern_executable_output",
     CALL(quern_executable_output(o.executable, 0, &r.port)),
     "executable",
     {{"port is NULL", CALL(quern_executable_output(o.executable, 0, nullptr))},
      {"no port 1; there are 1", CALL(quern_executable_output(o.executable, 1, &r.port))}}},
    {"quern_executable_plan",
     CALL(quern_executable_plan(o.executable, nullptr, 0, nullptr)),
     "executable",
     {{"shapes is NULL", CALL(quern_executable_plan(o.executable, nullptr, 1, nullptr))},
      {"a size is below 0", CALL(quern_executable_plan(o.executable, &kShape, 1, nullptr))},
      {"no time limit", CALL(quern_executable_plan(o.executable, nullptr, 0, &kLimits))}}},

    {"quern_value_borrow",
     CALL(quern_value_borrow(1, kDims, 4, numbers, 256, &r.value)),
     "",
     {{"value is NULL", CALL(quern_value_borrow(1, kDims, 4, numbers, 256, nullptr))},
      {"dims is NULL", CALL(quern_value_borrow(1, nullptr, 2, numbers, 256, &r.value))},
      {"data is NULL", CALL(quern_value_borrow(1, kDims, 4, nullptr, 256, &r.value))},
      {"has 256 bytes, found 255", CALL(quern_value_borrow(1, kDims, 4, numbers, 255, &r.value))},
      {"a size is below 0", CALL(quern_value_borrow(1, kNegative, 1, numbers, 4, &r.value))},
      {"too many bytes", CALL(quern_value_borrow(1, kHuge, 3, numbers, 256, &r.value))},
      {"strings cannot be borrowed", CALL(quern_value_borrow(8, kDims, 4, numbers, 256, &r.value))},
      {"99 is no element type", CALL(quern_value_borrow(99, kDims, 4, numbers, 256, &r.value))},
      {"a rank of 1000", CALL(quern_value_borrow(1, kDims, 1000, numbers, 256, &r.value))}}},
    {"quern_value_tensor",
     CALL(quern_value_tensor(1, kDims, 4, &r.value)),
     "",
     {{"value is NULL", CALL(quern_value_tensor(1, kDims, 4, nullptr))},
      {"dims is NULL", CALL(quern_value_tensor(1, nullptr, 1, &r.value))},
      {"-1 is no element type", CALL(quern_value_tensor(-1, kDims, 4, &r.value))},
      {"a size is below 0", CALL(quern_value_tensor(1, kNegative, 1, &r.value))}}},
    {"quern_value_strings",
     CALL(quern_value_strings(kStrings, 1, kDims, 1, &r.value)),
     "",
     {{"value is NULL", CALL(quern_value_strings(kStrings, 1, kDims, 1, nullptr))},
      {"strings is NULL", CALL(quern_value_strings(nullptr, 1, kDims, 1, &r.value))},
      {"strings[1] is NULL", CALL(quern_value_strings(kStrings, 2, kTwo, 1, &r.value))},
      {"dims is NULL", CALL(quern_value_strings(kStrings, 1, nullptr, 1, &r.value))},
      {"1 strings do not make", CALL(quern_value_strings(kStrings, 1, kTwo, 1, &r.value))}}},
    {"quern_value_sequence",
     CALL(quern_value_sequence(One(o.value), 1, 1, &r.value)),
     "value",
     {{"value is NULL", CALL(quern_value_sequence(One(o.value), 1, 1, nullptr))},
      {"values is NULL", CALL(quern_value_sequence(nullptr, 1, 1, &r.value))},
      {"0 is no element type", CALL(quern_value_sequence(nullptr, 0, 0, &r.value))}}},
    {"quern_value_optional",
     CALL(quern_value_optional(o.value, 1, &r.value)),
     "value?",
     {{"value is NULL", CALL(quern_value_optional(o.value, 1, nullptr))},
      {"0 is no element type", CALL(quern_value_optional(nullptr, 0, &r.value))}}},
    {"quern_value_map",
     CALL(quern_value_map(o.value, One(o.value), 1, &r.value)),
     "value",
     {{"value is NULL", CALL(quern_value_map(o.value, One(o.value), 1, nullptr))},
      {"values is NULL", CALL(quern_value_map(o.value, nullptr, 1, &r.value))},
      {"values[0]: the value is NULL", CALL(quern_value_map(o.value, One(nullptr), 1, &r.value))},
      {"a map needs one value", CALL(quern_value_map(o.value, nullptr, 0, &r.value))}}},
    {"quern_value_read",
     CALL(quern_value_read("missing.pb", nullptr, &r.value)),
     "",
     {{"path is NULL", CALL(quern_value_read(nullptr, nullptr, &r.value))},
      {"value is NULL", CALL(quern_value_read("x.pb", nullptr, nullptr))},
      {"no time limit", CALL(quern_value_read("x.pb", &kLimits, &r.value))}}},
    {"quern_value_read_for",
     CALL(quern_value_read_for(o.model, 0, "x.pb", nullptr, &r.value)),
     "model",
     {{"path is NULL", CALL(quern_value_read_for(o.model, 0, nullptr, nullptr, &r.value))},
      {"value is NULL", CALL(quern_value_read_for(o.model, 0, "x.pb", nullptr, nullptr))},
      {"no input 1", CALL(quern_value_read_for(o.model, 1, "x.pb", nullptr, &r.value))},
      {"no time limit", CALL(quern_value_read_for(o.model, 0, "x.pb", &kLimits, &r.value))}}},
    {"quern_value_serialize",
     CALL(quern_value_serialize(o.value, "x", &r.text)),
     "value",
     {{"bytes is NULL", CALL(quern_value_serialize(o.value, "x", nullptr))},
      {"name is NULL", CALL(quern_value_serialize(o.value, nullptr, &r.text))}}},
    {"quern_value_kind",
     CALL(quern_value_kind(o.value, &r.number)),
     "value",
     {{"kind is NULL", CALL(quern_value_kind(o.value, nullptr))}}},
    {"quern_value_view",
     CALL(quern_value_view(o.value, &r.view)),
     "value",
     {{"view is NULL", CALL(quern_value_view(o.value, nullptr))}}},
    {"quern_value_string",
     CALL(quern_value_string(o.value, 0, &r.chars, &r.a)),
     "value",
     {{"chars is NULL", CALL(quern_value_string(o.value, 0, nullptr, nullptr))},
      {"wanted a tensor of strings", CALL(quern_value_string(o.value, 0, &r.chars, &r.a))}}},
    {"quern_value_count",
     CALL(quern_value_count(o.value, &r.a)),
     "value",
     {{"count is NULL", CALL(quern_value_count(o.value, nullptr))},
      {"wanted a sequence", CALL(quern_value_count(o.value, &r.a))}}},
    {"quern_value_get",
     CALL(quern_value_get(o.value, 0, &r.value)),
     "value",
     {{"part is NULL", CALL(quern_value_get(o.value, 0, nullptr))},
      {"wanted a sequence", CALL(quern_value_get(o.value, 0, &r.value))}}},
    {"quern_value_keys",
     CALL(quern_value_keys(o.value, &r.value)),
     "value",
     {{"keys is NULL", CALL(quern_value_keys(o.value, nullptr))},
      {"wanted a map", CALL(quern_value_keys(o.value, &r.value))}}},

    {"quern_session_create",
     CALL(quern_session_create(o.executable, nullptr, &r.session)),
     "executable",
     {{"session is NULL", CALL(quern_session_create(o.executable, nullptr, nullptr))},
      {"struct_size", CALL(quern_session_create(o.executable, &kSession, &r.session))}}},
    {"quern_session_run",
     CALL(quern_session_run(o.session, One(o.value), 1, &r.value, 1)),
     "session value",
     {{"inputs is NULL", CALL(quern_session_run(o.session, nullptr, 1, &r.value, 1))},
      {"outputs is NULL", CALL(quern_session_run(o.session, One(o.value), 1, nullptr, 1))},
      {"inputs[0]: the value is NULL",
       CALL(quern_session_run(o.session, One(nullptr), 1, &r.value, 1))}}},
    {"quern_session_cancel", CALL(quern_session_cancel(o.session)), "session", {}},
    {"quern_session_set_time",
     CALL(quern_session_set_time(o.session, 1)),
     "session",
     {{"no time limit", CALL(quern_session_set_time(o.session, -1))},
      {"no time limit", CALL(quern_session_set_time(o.session, std::nan("")))}}},
    {"quern_session_threads",
     CALL(quern_session_threads(o.session, &r.number)),
     "session",
     {{"threads is NULL", CALL(quern_session_threads(o.session, nullptr))}}},
    {"quern_session_profile",
     CALL(quern_session_profile(o.session, &r.text)),
     "session",
     {{"json is NULL", CALL(quern_session_profile(o.session, nullptr))}}},
    {"quern_session_clear_profile", CALL(quern_session_clear_profile(o.session)), "session", {}},

    {"quern_compare",
     CALL(quern_compare(o.model, One(o.value), 1, nullptr, &r.comparison, &r.difference, 1)),
     "model value",
     {{"comparison is NULL",
       CALL(quern_compare(o.model, One(o.value), 1, nullptr, nullptr, nullptr, 0))},
      {"inputs is NULL",
       CALL(quern_compare(o.model, nullptr, 1, nullptr, &r.comparison, nullptr, 0))},
      {"struct_size",
       CALL(quern_compare(o.model, One(o.value), 1, &kCompare, &r.comparison, nullptr, 0))},
      {"1 outputs, found room for 2",
       CALL(quern_compare(o.model, One(o.value), 1, nullptr, &r.comparison, &r.difference, 2))}}},
    {"quern_session_benchmark",
     CALL(quern_session_benchmark(o.session, One(o.value), 1, nullptr, &r.measurement)),
     "session value",
     {{"measurement is NULL",
       CALL(quern_session_benchmark(o.session, One(o.value), 1, nullptr, nullptr))},
      {"inputs is NULL",
       CALL(quern_session_benchmark(o.session, nullptr, 1, nullptr, &r.measurement))},
      {"struct_size",
       CALL(quern_session_benchmark(o.session, One(o.value), 1, &kBenchmark, &r.measurement))}}},
};

const std::vector<CPlainFunction> kPlainFunctions = {
    {"quern_status_name", [](const CObjects &) { EXPECT_NE(quern_status_name(-7), nullptr); }},
    {"quern_last_error", [](const CObjects &) { EXPECT_NE(quern_last_error(), nullptr); }},
    {"quern_version", [](const CObjects &) { EXPECT_NE(quern_version(), nullptr); }},
    {"quern_text_release", [](const CObjects &o) { quern_text_release(o.text); }},
    {"quern_model_release", [](const CObjects &o) { quern_model_release(o.model); }},
    {"quern_executable_release", [](const CObjects &o) { quern_executable_release(o.executable); }},
    {"quern_value_release", [](const CObjects &o) { quern_value_release(o.value); }},
    {"quern_session_release", [](const CObjects &o) { quern_session_release(o.session); }},
    {"quern_seed_random_ops", [](const CObjects &) { quern_seed_random_ops(~uint64_t{0}); }},
};
} // namespace
#undef CALL

std::span<const CFunction> quern::test::cFunctions() { return kFunctions; }
std::span<const CPlainFunction> quern::test::cPlainFunctions() { return kPlainFunctions; }
