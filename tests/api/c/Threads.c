/* Threads.c MODEL SECONDS - eight threads share one executable, of examples/digits or of a
 * library (FILE.so) compiled for N=1,2,3,4: the same bits, no growth after a sixth of the time.
 * Each makes sessions and values of its own again and again. The tests give two seconds, who wants
 * to know gives 60. C99 and POSIX threads. */
#define _POSIX_C_SOURCE 199309L
#include "quern.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Sanitizers keep records of all memory. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define GROWTH_IS_MEASURED 0
#endif
#endif
#ifndef GROWTH_IS_MEASURED
#define GROWTH_IS_MEASURED 1
#endif

/* FEWEST_RUNS of a thread, however little of the CPU it gets: its arena has grown by then. */
enum { THREADS = 8, CLASSES = 10, LARGEST = 4, RUNS_PER_SESSION = 5, FEWEST_RUNS = 500 };

static quern_executable *executable;
static float wanted[LARGEST][LARGEST * CLASSES];
static double end;

/* Seconds. */
static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void require(quern_status status, const char *what) {
  if (status == QUERN_STATUS_OK)
    return;
  fprintf(stderr, "%s: %s\n", what, quern_last_error());
  exit(1);
}

/* Bytes that this process holds. */
static long resident(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file && fscanf(file, "%*d %ld", &pages) != 1)
    pages = 0;
  if (file)
    fclose(file);
  return pages * 4096;
}

static void run(quern_session *session, int images, float *result) {
  int64_t dims[4] = {0, 1, 8, 8};
  quern_value *input = NULL, *output = NULL;
  quern_tensor_view view;
  const quern_value *inputs[1];
  int i;
  dims[0] = images;
  require(quern_value_tensor(1, dims, 4, &input), "value");
  require(quern_value_view(input, &view), "view");
  for (i = 0; i < images * 64; ++i)
    ((float *)view.data)[i] = (float)(i % 17) / 17;
  inputs[0] = input;
  require(quern_session_run(session, inputs, 1, &output, 1), "run");
  require(quern_value_view(output, &view), "view");
  memcpy(result, view.data, view.bytes);
  quern_value_release(output);
  quern_value_release(input);
}

static void *work(void *argument) {
  long *runs = argument;
  long first = *runs;
  do {
    quern_session *session = NULL;
    quern_session_options options;
    float found[LARGEST * CLASSES];
    int i;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.threads = 1 + (int)(*runs % 2);
    require(quern_session_create(executable, &options, &session), "session");
    for (i = 0; i < RUNS_PER_SESSION; ++i, ++*runs) {
      int images = 1 + (int)(*runs % LARGEST);
      run(session, images, found);
      if (memcmp(found, wanted[images - 1], sizeof(float) * (size_t)images * CLASSES) != 0) {
        fprintf(stderr, "other bits for %d images\n", images);
        exit(1);
      }
    }
    quern_session_release(session);
  } while (now() < end || *runs - first < FEWEST_RUNS);
  return NULL;
}

static long run_threads(double duration) {
  pthread_t threads[THREADS];
  long runs[THREADS], total = 0;
  int i;
  end = now() + duration;
  for (i = 0; i < THREADS; ++i) {
    runs[i] = i;
    pthread_create(&threads[i], NULL, work, &runs[i]);
  }
  for (i = 0; i < THREADS; ++i) {
    pthread_join(threads[i], NULL);
    total += runs[i];
  }
  return total;
}

static void make_executable(const char *path) {
  quern_model *model = NULL;
  size_t length = strlen(path);
  if (length > 3 && strcmp(path + length - 3, ".so") == 0) {
    require(quern_executable_load(path, &executable), "load");
    return;
  }
  require(quern_model_load(path, NULL, &model), "load");
  require(quern_model_compile(model, NULL, &executable), "compile");
  quern_model_release(model);
}

int main(int argc, char **argv) {
  quern_session *session = NULL;
  long before, after, runs;
  double duration;
  int images;
  if (argc != 3)
    return 2;
  make_executable(argv[1]);
  require(quern_session_create(executable, NULL, &session), "session");
  for (images = 1; images <= LARGEST; ++images)
    run(session, images, wanted[images - 1]);
  quern_session_release(session);
  duration = atof(argv[2]);
  runs = run_threads(duration / 6);
  before = resident();
  runs += run_threads(duration * 5 / 6);
  after = resident();
  printf("%ld runs, %ld KiB more than the %ld KiB after a sixth\n", runs, (after - before) / 1024,
         before / 1024);
  quern_executable_release(executable);
  /* What malloc's arenas of the threads take. */
  return !GROWTH_IS_MEASURED || after - before < (2L << 20) ? 0 : 1;
}
