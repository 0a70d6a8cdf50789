//===- CApiTest.cpp - options and values of quern.h -----------------------===//
#include "Models.h"
#include "quern.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <set>

using namespace quern::test;

namespace {
template <typename T> T sized() {
  T options{};
  options.struct_size = sizeof options;
  return options;
}

/// A usage error whose message has this part.
void expectUsage(quern_status status, const std::string &part) {
  EXPECT_EQ(status, QUERN_STATUS_USAGE) << part;
  EXPECT_NE(std::string(quern_last_error()).find(part), std::string::npos) << quern_last_error();
}

constexpr std::array<int64_t, 4> kDims = {1, 1, 8, 8};

/// One object of each kind.
class CApiTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(quern_model_load(kDigits.c_str(), nullptr, &model), QUERN_STATUS_OK);
    ASSERT_EQ(quern_model_compile(model, nullptr, &executable), QUERN_STATUS_OK);
    ASSERT_EQ(quern_session_create(executable, nullptr, &session), QUERN_STATUS_OK);
    ASSERT_EQ(quern_value_tensor(1, kDims.data(), 4, &value), QUERN_STATUS_OK);
  }
  void TearDown() override {
    quern_value_release(value);
    quern_session_release(session);
    quern_executable_release(executable);
    quern_model_release(model);
  }

  quern_model *model = nullptr;
  quern_executable *executable = nullptr;
  quern_session *session = nullptr;
  quern_value *value = nullptr;
};
} // namespace

TEST_F(CApiTest, WrongSizes) {
  quern_value *made[2] = {nullptr, nullptr};
  const quern_value *inputs[2] = {value, value};
  EXPECT_EQ(quern_session_run(session, inputs, 2, made, 1), QUERN_STATUS_INVALID_INPUT);
  EXPECT_EQ(quern_session_run(session, inputs, 1, made, 2), QUERN_STATUS_INVALID_INPUT);
  EXPECT_EQ(quern_session_run(session, nullptr, 0, nullptr, 0), QUERN_STATUS_INVALID_INPUT);
  int64_t huge[3] = {INT64_MAX, INT64_MAX, 2};
  EXPECT_EQ(quern_value_tensor(1, huge, 3, made), QUERN_STATUS_RESOURCE_LIMIT);
  EXPECT_EQ(made[0], nullptr);
}

TEST_F(CApiTest, OptionsOfOtherVersions) {
  // Of a program that knows no options yet, and of one that knows more.
  quern_executable *compiled = nullptr;
  quern_compile_options old{};
  old.struct_size = sizeof(size_t);
  old.threads = -5;
  ASSERT_EQ(quern_model_compile(model, &old, &compiled), QUERN_STATUS_OK) << quern_last_error();
  quern_executable_release(compiled);
  struct {
    quern_compile_options known;
    int64_t next;
  } newer{};
  newer.known.struct_size = sizeof newer;
  ASSERT_EQ(quern_model_compile(model, &newer.known, &compiled), QUERN_STATUS_OK);
  quern_executable_release(compiled);
  newer.next = 1;
  expectUsage(quern_model_compile(model, &newer.known, &compiled), "too old for an option");
  for (size_t size : {size_t{0}, size_t{3}, ~size_t{0}}) {
    old.struct_size = size;
    expectUsage(quern_model_compile(model, &old, &compiled), "struct_size");
  }
}

TEST_F(CApiTest, Precisions) {
  auto compile = sized<quern_compile_options>();
  quern_executable *compiled = nullptr;
  for (const char *precision : {"f32", "bf16"}) {
    compile.precision = precision;
    ASSERT_EQ(quern_model_compile(model, &compile, &compiled), QUERN_STATUS_OK) << precision;
    quern_executable_release(compiled);
  }
  for (auto [precision, says] : {std::pair("f16", "bf16 has the same size"),
                                 std::pair("int8", "quantize the model with quern quantize")}) {
    compile.precision = precision;
    EXPECT_EQ(quern_model_compile(model, &compile, &compiled), QUERN_STATUS_UNSUPPORTED);
    EXPECT_NE(std::string(quern_last_error()).find(says), std::string::npos) << quern_last_error();
  }
}

TEST_F(CApiTest, PrecisionWithinABound) {
  auto compile = sized<quern_compile_options>();
  quern_executable *compiled = nullptr;
  compile.precision = "auto";
  ASSERT_EQ(quern_model_compile(model, &compile, &compiled), QUERN_STATUS_OK);
  quern_executable_release(compiled);
  compile.max_error = 0.5;
  quern_value *sample = nullptr;
  ASSERT_EQ(quern_model_sample_inputs(model, 3, &sample, 1), QUERN_STATUS_OK);
  compile.samples = &sample;
  compile.sample_count = 1;
  ASSERT_EQ(quern_model_compile(model, &compile, &compiled), QUERN_STATUS_OK);
  quern_executable_release(compiled);
  compile.sample_count = 2;
  quern_value *samples[2] = {sample, sample};
  compile.samples = samples;
  EXPECT_EQ(quern_model_compile(model, &compile, &compiled), QUERN_STATUS_INVALID_INPUT);
  compile.samples = nullptr;
  expectUsage(quern_model_compile(model, &compile, &compiled), "samples is NULL");
  compile.sample_count = 0;
  compile.max_error = 2;
  expectUsage(quern_model_compile(model, &compile, &compiled),
              "a bound of 2 on the error makes no sense");
  compile.precision = nullptr;
  expectUsage(quern_model_compile(model, &compile, &compiled),
              "a bound on the error is for precision auto");
  quern_value_release(sample);
}

TEST_F(CApiTest, SmallWeights) {
  auto compile = sized<quern_compile_options>();
  quern_executable *compiled = nullptr;
  compile.weights = "int8";
  ASSERT_EQ(quern_model_compile(model, &compile, &compiled), QUERN_STATUS_OK);
  quern_executable_release(compiled);
  compile.weights = "int3";
  expectUsage(quern_model_compile(model, &compile, &compiled),
              "there are no weights 'int3'; wanted given, int8 or int4");
}

TEST_F(CApiTest, Winograd) {
  auto compile = sized<quern_compile_options>();
  quern_executable *compiled = nullptr;
  for (const char *use : {"auto", "off"}) {
    compile.winograd = use;
    ASSERT_EQ(quern_model_compile(model, &compile, &compiled), QUERN_STATUS_OK) << use;
    quern_executable_release(compiled);
  }
  compile.winograd = "on";
  expectUsage(quern_model_compile(model, &compile, &compiled),
              "Winograd's algorithm is auto or off, not 'on'");
}

TEST_F(CApiTest, MeasuredWays) {
  std::string folder = testing::TempDir() + "tuned.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  setenv("QUERN_CACHE_DIR", folder.c_str(), /*replace=*/1);
  auto compile = sized<quern_compile_options>();
  quern_executable *compiled = nullptr;
  for (double seconds : {-1.0, 0.05}) {
    compile.tune_seconds = seconds;
    ASSERT_EQ(quern_model_compile(model, &compile, &compiled), QUERN_STATUS_OK)
        << quern_last_error();
    quern_executable_release(compiled);
  }
  compile.tune_seconds = std::numeric_limits<double>::quiet_NaN();
  expectUsage(quern_model_compile(model, &compile, &compiled), "cannot tune for nan seconds");
  compile.tune_seconds = 1;
  compile.backend = QUERN_BACKEND_INTERPRETER;
  expectUsage(quern_model_compile(model, &compile, &compiled), "tuning is for native code");
  unsetenv("QUERN_CACHE_DIR");
  std::filesystem::remove_all(folder);
}

TEST_F(CApiTest, OptionsWithoutSense) {
  auto compile = sized<quern_compile_options>();
  quern_executable *compiled = nullptr;
  compile.backend = 7;
  expectUsage(quern_model_compile(model, &compile, &compiled), "there is no backend 7");
  compile = sized<quern_compile_options>();
  compile.optimize = 9;
  expectUsage(quern_model_compile(model, &compile, &compiled), "no optimisation level 9");
  compile = sized<quern_compile_options>();
  compile.limits.seconds = -1;
  expectUsage(quern_model_compile(model, &compile, &compiled), "time limit");
  compile.limits = {};
  compile.limits.memory_bytes = -1;
  expectUsage(quern_model_compile(model, &compile, &compiled), "a limit is below 0");
  compile = sized<quern_compile_options>();
  compile.target_cpu = "abacus";
  expectUsage(quern_model_compile(model, &compile, &compiled), "abacus");
  compile = sized<quern_compile_options>();
  compile.precision = "f8";
  expectUsage(quern_model_compile(model, &compile, &compiled),
              "there is no precision 'f8'; wanted f32, bf16, f16, int8 or auto");
  compile.precision = "bf16";
  compile.backend = QUERN_BACKEND_INTERPRETER;
  expectUsage(quern_model_compile(model, &compile, &compiled), "precision bf16 is for native code");
  auto file = sized<quern_file_options>();
  file.target_cpu_count = 1;
  expectUsage(quern_model_compile_to_file(model, "/tmp/x.so", nullptr, &file),
              "target_cpus is NULL");
  const char *cpus[1] = {nullptr};
  file.target_cpus = cpus;
  expectUsage(quern_model_compile_to_file(model, "/tmp/x.so", nullptr, &file),
              "target_cpus[0] is NULL");
  file = sized<quern_file_options>();
  file.max_iterations = -1;
  expectUsage(quern_model_compile_to_file(model, "/tmp/x.so", nullptr, &file),
              "max_iterations is below 0");
  auto options = sized<quern_session_options>();
  options.threads = -1;
  quern_session *opened = nullptr;
  expectUsage(quern_session_create(executable, &options, &opened), "number of threads is -1");
  auto load = sized<quern_load_options>();
  load.dim_count = 1;
  quern_model *loaded = nullptr;
  expectUsage(quern_model_load(kDigits.c_str(), &load, &loaded), "dims is NULL");
  EXPECT_EQ(quern_model_load("missing.onnx", nullptr, &loaded), QUERN_STATUS_IO);
  EXPECT_EQ(quern_executable_load(kDigits.c_str(), &compiled), QUERN_STATUS_INVALID_MODEL);
  EXPECT_EQ(quern_model_load_bytes("abc", 3, nullptr, &loaded), QUERN_STATUS_INVALID_MODEL);
  EXPECT_EQ(loaded, nullptr);
  EXPECT_EQ(compiled, nullptr);
}

TEST(CApiValueTest, SequencesOptionalsAndMaps) {
  quern_value *a = nullptr, *sequence = nullptr, *optional = nullptr, *empty = nullptr;
  quern_value *keys = nullptr, *map = nullptr, *part = nullptr;
  int64_t two[1] = {2}, three[1] = {3};
  ASSERT_EQ(quern_value_tensor(1, two, 1, &a), QUERN_STATUS_OK);
  const quern_value *parts[2] = {a, a};
  ASSERT_EQ(quern_value_sequence(parts, 2, 0, &sequence), QUERN_STATUS_OK);
  ASSERT_EQ(quern_value_optional(a, 0, &optional), QUERN_STATUS_OK);
  ASSERT_EQ(quern_value_optional(nullptr, 7, &empty), QUERN_STATUS_OK);
  const char *names[3] = {"x", "y", "z"};
  ASSERT_EQ(quern_value_strings(names, 2, two, 1, &keys), QUERN_STATUS_OK);
  ASSERT_EQ(quern_value_map(keys, parts, 2, &map), QUERN_STATUS_OK) << quern_last_error();
  size_t count = 9;
  int32_t kind = 9;
  for (auto [value, wantedKind, wantedCount] :
       {std::tuple{sequence, QUERN_SEQUENCE, 2u}, std::tuple{optional, QUERN_OPTIONAL, 1u},
        std::tuple{empty, QUERN_OPTIONAL, 0u}, std::tuple{map, QUERN_MAP, 2u}}) {
    EXPECT_EQ(quern_value_count(value, &count), QUERN_STATUS_OK);
    EXPECT_EQ(count, wantedCount);
    EXPECT_EQ(quern_value_kind(value, &kind), QUERN_STATUS_OK);
    EXPECT_EQ(kind, wantedKind);
  }
  expectUsage(quern_value_get(empty, 0, &part), "there is no value 0; there are 0");
  expectUsage(quern_value_count(a, &count), "found float32 2");
  ASSERT_EQ(quern_value_get(sequence, 1, &part), QUERN_STATUS_OK);
  quern_tensor_view view{};
  ASSERT_EQ(quern_value_view(part, &view), QUERN_STATUS_OK);
  EXPECT_EQ(view.elements, 2);
  quern_value_release(part);
  ASSERT_EQ(quern_value_keys(map, &part), QUERN_STATUS_OK);
  const char *chars = nullptr;
  size_t size = 0;
  ASSERT_EQ(quern_value_string(part, 1, &chars, &size), QUERN_STATUS_OK);
  EXPECT_EQ(std::string(chars, size), "y");
  expectUsage(quern_value_string(part, 2, &chars, &size), "there is no string 2; there are 2");
  ASSERT_EQ(quern_value_view(part, &view), QUERN_STATUS_OK);
  EXPECT_EQ(view.data, nullptr);
  quern_value_release(part);
  // Keys must be as many as values.
  quern_value *more = nullptr;
  ASSERT_EQ(quern_value_strings(names, 3, three, 1, &more), QUERN_STATUS_OK);
  quern_value *wrong = nullptr;
  EXPECT_EQ(quern_value_map(more, parts, 2, &wrong), QUERN_STATUS_INVALID_INPUT);
  EXPECT_EQ(wrong, nullptr);
  for (quern_value *each : {a, sequence, optional, empty, keys, map, more})
    quern_value_release(each);
}

TEST(CApiValueTest, FilesOfValues) {
  quern_model *model = nullptr;
  quern_value *value = nullptr, *read = nullptr, *readFor = nullptr;
  quern_text *bytes = nullptr;
  ASSERT_EQ(quern_model_load(kDigits.c_str(), nullptr, &model), QUERN_STATUS_OK);
  ASSERT_EQ(quern_model_sample_inputs(model, 5, &value, 1), QUERN_STATUS_OK);
  ASSERT_EQ(quern_value_serialize(value, "x", &bytes), QUERN_STATUS_OK);
  const char *chars = nullptr;
  size_t size = 0;
  ASSERT_EQ(quern_text_get(bytes, &chars, &size), QUERN_STATUS_OK);
  std::string path = testing::TempDir() + "quern-c-value.pb";
  std::ofstream(path, std::ios::binary).write(chars, static_cast<std::streamsize>(size));
  ASSERT_EQ(quern_value_read(path.c_str(), nullptr, &read), QUERN_STATUS_OK) << quern_last_error();
  ASSERT_EQ(quern_value_read_for(model, 0, path.c_str(), nullptr, &readFor), QUERN_STATUS_OK);
  quern_tensor_view wanted{}, a{}, b{};
  quern_value_view(value, &wanted);
  quern_value_view(read, &a);
  quern_value_view(readFor, &b);
  ASSERT_EQ(a.bytes, wanted.bytes);
  ASSERT_EQ(b.bytes, wanted.bytes);
  EXPECT_EQ(std::memcmp(a.data, wanted.data, a.bytes), 0);
  EXPECT_EQ(std::memcmp(b.data, wanted.data, b.bytes), 0);
  for (quern_value *each : {value, read, readFor})
    quern_value_release(each);
  quern_text_release(bytes);
  quern_model_release(model);
}

TEST(CApiProblemsTest, AreListed) {
  std::string path = testing::TempDir() + "quern-c-problems.onnx";
  std::ofstream(path, std::ios::binary) << digitsWith("MaxPool", "MaxPond");
  quern_text *json = nullptr;
  ASSERT_EQ(quern_find_problems(path.c_str(), nullptr, &json), QUERN_STATUS_OK)
      << quern_last_error();
  const char *chars = nullptr;
  ASSERT_EQ(quern_text_get(json, &chars, nullptr), QUERN_STATUS_OK);
  EXPECT_NE(std::string(chars).find(R"({"unsupported_ops":[{"op":"MaxPond")"), std::string::npos)
      << chars;
  quern_text_release(json);
}

TEST(CApiValueTest, HandlesAreNotReused) {
  std::set<quern_value *> seen;
  int64_t one[1] = {1};
  for (int i = 0; i < 1000; ++i) {
    quern_value *value = nullptr;
    ASSERT_EQ(quern_value_tensor(1, one, 1, &value), QUERN_STATUS_OK);
    EXPECT_TRUE(seen.insert(value).second);
    quern_value_release(value);
  }
}

TEST(CApiValueTest, ManyHandles) {
  std::vector<quern_value *> values(10'000);
  int64_t one[1] = {1};
  for (quern_value *&value : values)
    ASSERT_EQ(quern_value_tensor(1, one, 1, &value), QUERN_STATUS_OK);
  int32_t kind = -1;
  for (quern_value *value : values)
    EXPECT_EQ(quern_value_kind(value, &kind), QUERN_STATUS_OK);
  for (quern_value *value : values)
    quern_value_release(value);
  EXPECT_EQ(quern_value_kind(values[5000], &kind), QUERN_STATUS_USAGE);
}

TEST(CApiCompareTest, ComparingSaysWhatDiffers) {
  quern_model *model = nullptr;
  ASSERT_EQ(quern_model_load(kDigits.c_str(), nullptr, &model), QUERN_STATUS_OK);
  quern_value *sample = nullptr;
  ASSERT_EQ(quern_model_sample_inputs(model, 3, &sample, 1), QUERN_STATUS_OK);
  auto options = sized<quern_compare_options>();
  options.seconds = -1;
  options.relative = 1e-30; // nothing is as close, unless it is the same
  quern_comparison comparison{};
  quern_output_difference difference{};
  ASSERT_EQ(quern_compare(model, &sample, 1, &options, &comparison, &difference, 1),
            QUERN_STATUS_OK);
  EXPECT_EQ(comparison.passes, difference.mismatches == 0);
  EXPECT_EQ(comparison.passes, difference.passes);
  if (!comparison.passes) {
    EXPECT_NE(std::string(quern_last_error()).find("elements differ"), std::string::npos);
  }
  options.absolute = -1;
  expectUsage(quern_compare(model, &sample, 1, &options, &comparison, nullptr, 0), "tolerance");
  quern_value_release(sample);
  quern_model_release(model);
}

TEST_F(CApiTest, CancellingWhatIsReleasedSaysSo) {
  expectUsage(quern_model_compile(nullptr, nullptr, nullptr), "executable is NULL");
  expectUsage(quern_session_cancel(nullptr), "the session is NULL");
  quern_session_release(session);
  expectUsage(quern_session_cancel(session), "the session was released");
  session = nullptr;
  expectUsage(quern_model_compile(nullptr, nullptr, nullptr), "executable is NULL");
}
