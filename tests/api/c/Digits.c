/* Digits.c MODEL FOLDER - what a C program does with the library, from loading to comparing.
 * C99, pedantic. */
#include "quern.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program when a call fails, or something is not so. */
#define CALL(call) check((call) == QUERN_STATUS_OK, #call, __LINE__)
#define CHECK(condition) check((condition) ? 1 : 0, #condition, __LINE__)

static void check(int ok, const char *what, int line) {
  if (ok)
    return;
  fprintf(stderr, "line %d: %s: %s\n", line, what, quern_last_error());
  exit(1);
}

enum { IMAGES = 2, PIXELS = 64, CLASSES = 10 };

static float pixels[IMAGES * PIXELS];
static float probabilities[IMAGES * CLASSES];
static const int64_t input_dims[4] = {IMAGES, 1, 8, 8};
static const int64_t output_dims[2] = {IMAGES, CLASSES};

static quern_model *load(const char *path) {
  quern_model *model = NULL;
  quern_load_options options;
  quern_dim_size batch = {"N", IMAGES};
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.dims = &batch;
  options.dim_count = 1;
  CALL(quern_model_load(path, &options, &model));
  return model;
}

static void show_ports(const char *path) {
  quern_model *model = NULL;
  quern_port port;
  size_t inputs, outputs;
  CALL(quern_model_load(path, NULL, &model));
  CALL(quern_model_port_counts(model, &inputs, &outputs));
  CHECK(inputs == 1 && outputs == 1);
  CALL(quern_model_input(model, 0, &port));
  CHECK(port.kind == QUERN_TENSOR && port.dtype == 1 && port.rank == 4);
  CHECK(port.dims[0].size == -1 && strcmp(port.dims[0].symbol, "N") == 0);
  CHECK(port.dims[3].size == 8 && port.dims[3].symbol == NULL);
  CHECK(strcmp(port.type, "float32 Nx1x8x8") == 0);
  quern_model_release(model);
}

/* Runs on memory of this program's, and on new memory; both are the same. */
static void run(quern_session *session) {
  quern_value *input = NULL, *bound = NULL, *fresh = NULL;
  const quern_value *inputs[1];
  quern_tensor_view view;
  double sum = 0;
  int i;
  CALL(quern_value_borrow(1, input_dims, 4, pixels, sizeof pixels, &input));
  CALL(quern_value_borrow(1, output_dims, 2, probabilities, sizeof probabilities, &bound));
  inputs[0] = input;
  CALL(quern_session_run(session, inputs, 1, &bound, 1));
  CALL(quern_session_run(session, inputs, 1, &fresh, 1));
  CALL(quern_value_view(fresh, &view));
  CHECK(view.rank == 2 && view.dims[1] == CLASSES && view.bytes == sizeof probabilities);
  CHECK(view.data != probabilities && memcmp(view.data, probabilities, view.bytes) == 0);
  for (i = 0; i < CLASSES; ++i)
    sum += probabilities[i];
  CHECK(fabs(sum - 1) < 1e-5);
  quern_value_release(fresh);
  quern_value_release(bound);
  quern_value_release(input);
}

static quern_session *session_of(const quern_executable *executable, int profile) {
  quern_session *session = NULL;
  quern_session_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.threads = 2;
  options.profile = profile;
  CALL(quern_session_create(executable, &options, &session));
  return session;
}

static void run_compiled(const quern_model *model) {
  quern_executable *executable = NULL;
  quern_session *session;
  quern_text *profile = NULL;
  quern_shape shape = {input_dims, 4};
  const char *text = NULL;
  int32_t threads;
  CALL(quern_model_compile(model, NULL, &executable));
  CALL(quern_executable_plan(executable, &shape, 1, NULL));
  session = session_of(executable, 1);
  quern_executable_release(executable);
  run(session);
  CALL(quern_session_threads(session, &threads));
  CHECK(threads >= 1);
  CALL(quern_session_profile(session, &profile));
  CALL(quern_text_get(profile, &text, NULL));
  CHECK(text[0] == '[' && strstr(text, "\"runs\":2"));
  quern_text_release(profile);
  CALL(quern_session_clear_profile(session));
  CALL(quern_session_cancel(session));
  {
    quern_value *output = NULL, *input = NULL;
    const quern_value *inputs[1];
    CALL(quern_value_tensor(1, input_dims, 4, &input));
    inputs[0] = input;
    CHECK(quern_session_run(session, inputs, 1, &output, 1) == QUERN_STATUS_CANCELLED);
    CHECK(output == NULL);
    CALL(quern_session_set_time(session, 1e-9));
    CHECK(quern_session_run(session, inputs, 1, &output, 1) == QUERN_STATUS_RESOURCE_LIMIT);
    CALL(quern_session_set_time(session, 0));
    CALL(quern_session_run(session, inputs, 1, &output, 1));
    quern_value_release(output);
    quern_value_release(input);
  }
  quern_session_release(session);
}

/* A library has the same bits, one with code for several CPUs, too. */
static void run_library(const quern_model *model, const char *folder,
                        const quern_file_options *options) {
  char path[4096];
  quern_executable *executable = NULL;
  quern_session *session;
  quern_text *json = NULL;
  const char *text;
  float wanted[IMAGES * CLASSES];
  memcpy(wanted, probabilities, sizeof wanted);
  memset(probabilities, 0, sizeof probabilities);
  snprintf(path, sizeof path, "%s/digits.so", folder);
  CALL(quern_model_compile_to_file(model, path, NULL, options));
  CALL(quern_executable_load(path, &executable));
  session = session_of(executable, 0);
  run(session);
  CHECK(memcmp(wanted, probabilities, sizeof wanted) == 0);
  CALL(quern_inspect_file(path, NULL, &json));
  CALL(quern_text_get(json, &text, NULL));
  CHECK(strstr(text, "\"target_cpu\""));
  quern_text_release(json);
  quern_session_release(session);
  quern_executable_release(executable);
}

/* The library runs what the model ran, although it is compiled for other batches as well. */
static void run_listed_sizes(const char *path, const char *folder) {
  const char *sizes[1];
  char text[32];
  quern_model *model = NULL;
  quern_file_options options;
  snprintf(text, sizeof text, "N=1,%d..%d:2", IMAGES, IMAGES + 4);
  sizes[0] = text;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.listed_sizes = sizes;
  options.listed_size_count = 1;
  CALL(quern_model_load(path, NULL, &model));
  run_library(model, folder, &options);
  sizes[0] = "N=1..";
  CHECK(quern_model_compile_to_file(model, "x.so", NULL, &options) == QUERN_STATUS_USAGE);
  CHECK(strstr(quern_last_error(), "wanted NAME=SIZES"));
  quern_model_release(model);
}

static void compare_and_measure(const quern_model *model) {
  quern_value *samples[1] = {NULL};
  quern_compare_options options;
  quern_comparison comparison;
  quern_output_difference difference;
  quern_executable *executable = NULL;
  quern_session *session;
  quern_benchmark_options how;
  quern_measurement measured;
  CALL(quern_model_sample_inputs(model, 1, samples, 1));
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.seconds = -1;
  CALL(quern_compare(model, (const quern_value *const *)samples, 1, &options, &comparison,
                     &difference, 1));
  CHECK(comparison.passes && difference.passes && difference.mismatches == 0);
  CHECK(comparison.speedup > 0 && comparison.compile_ms > 0);
  CALL(quern_model_compile(model, NULL, &executable));
  session = session_of(executable, 0);
  memset(&how, 0, sizeof how);
  how.struct_size = sizeof how;
  how.runs = 4;
  CALL(quern_session_benchmark(session, (const quern_value *const *)samples, 1, &how, &measured));
  CHECK(measured.runs == 4 && measured.min_ms <= measured.p99_ms && measured.peak_rss_mb > 1);
  quern_session_release(session);
  quern_executable_release(executable);
  quern_value_release(samples[0]);
}

static void look_into(const quern_model *model, const char *path) {
  quern_text *text = NULL;
  const char *chars;
  size_t size;
  CALL(quern_inspect_file(path, NULL, &text));
  CALL(quern_text_get(text, &chars, &size));
  CHECK(strlen(chars) == size && strstr(chars, "\"schema\":\"quern.inspect/1\""));
  quern_text_release(text);
  CALL(quern_model_check(model, NULL, 0, NULL, &text));
  CALL(quern_text_get(text, &chars, NULL));
  CHECK(strstr(chars, "\"reference_steps\":[]"));
  quern_text_release(text);
  CALL(quern_model_phase_text(model, "imported", NULL, &text));
  CALL(quern_text_get(text, &chars, NULL));
  CHECK(strstr(chars, "nn.conv"));
  quern_text_release(text);
  CALL(quern_describe_host(&text));
  CALL(quern_text_get(text, &chars, NULL));
  CHECK(strstr(chars, "\"cpu\""));
  quern_text_release(text);
}

int main(int argc, char **argv) {
  quern_model *model;
  const char *cpus[2] = {"baseline", "host"};
  quern_file_options several;
  int i;
  memset(&several, 0, sizeof several);
  several.struct_size = sizeof several;
  several.target_cpus = cpus;
  several.target_cpu_count = 2;
  CHECK(argc == 3);
  for (i = 0; i < IMAGES * PIXELS; ++i)
    pixels[i] = (float)(i % 17) / 17;
  CHECK(strcmp(quern_status_name(QUERN_STATUS_INVALID_MODEL), "invalid model") == 0);
  CHECK(quern_version()[0] != '\0');
  show_ports(argv[1]);
  model = load(argv[1]);
  run_compiled(model);
  run_library(model, argv[2], NULL);
  run_library(model, argv[2], &several);
  several.weights_in_file = 1;
  run_library(model, argv[2], &several);
  run_listed_sizes(argv[1], argv[2]);
  compare_and_measure(model);
  look_into(model, argv[1]);
  quern_model_release(model);
  puts("ok");
  return 0;
}
