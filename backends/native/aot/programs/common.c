/* What stands above: the model's header, and
 *   model_info, model_cpu_ok, model_run   functions of the model
 *   MODEL_TAKES_SIZES                     defined for a model of several sizes
 *   model_use_weights, MODEL_WEIGHTS      for a model with its weights in a file: its name */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As Quern's own. */
enum exit_code {
  EXIT_INTERNAL = 1,
  EXIT_USAGE = 2,
  EXIT_MISMATCH = 5,
  EXIT_INCOMPATIBLE = 7,
  EXIT_INVALID_INPUT = 8,
  EXIT_LIMIT = 9,
  EXIT_IO = 10
};

static void fail(int code, const char *which, const char *what) {
  fprintf(stderr, "error: %s: %s\n", which, what);
  exit(code);
}

/* Memory at a multiple of 64, never null. It is not freed: the program ends with it. */
static void *allocate(int64_t bytes) {
  char *memory = NULL;
  if (bytes >= 0 && (uint64_t)bytes < SIZE_MAX - 64)
    memory = (char *)malloc((size_t)bytes + 64);
  if (!memory)
    fail(EXIT_LIMIT, "memory", "there is not enough");
  return memory + (64 - (uintptr_t)memory % 64);
}

/* A name of the model's, in which any bytes may be: control characters as \x1B. */
static void print_name(FILE *stream, const char *name) {
  const unsigned char *at = (const unsigned char *)name;
  for (; *at; ++at) {
    int is_two_bytes = at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0;
    if (is_two_bytes || *at < 0x20 || *at == 0x7F)
      fprintf(stream, "\\x%02X", is_two_bytes ? *++at : *at);
    else
      fputc(*at, stream);
  }
}

static FILE *open_file(const char *path, const char *mode) {
  FILE *file = fopen(path, mode);
  if (!file)
    fail(EXIT_IO, path, "cannot be opened");
  return file;
}

/* What is left of a file, which is as long as that. */
static void read_rest(FILE *file, const char *path, void *data, int64_t bytes) {
  if (fread(data, 1, (size_t)bytes, file) != (size_t)bytes || fgetc(file) != EOF) {
    fprintf(stderr, "error: %s: wanted %" PRId64 " bytes of elements\n", path, bytes);
    exit(EXIT_INVALID_INPUT);
  }
  fclose(file);
}

/* Makes sure that the model can run here, and gives it its weights; a workspace. */
static void *prepare_model(const char *weights) {
  if (!model_cpu_ok())
    fail(EXIT_INCOMPATIBLE, model_info()->target_cpu,
         "the model was compiled for it, and this CPU lacks instructions");
#ifdef MODEL_WEIGHTS
  {
    int64_t bytes = model_info()->weights_bytes;
    void *data = allocate(bytes);
    read_rest(open_file(weights, "rb"), weights, data, bytes);
    if (model_use_weights(data, bytes) != QUERN_MODEL_OK)
      fail(EXIT_INCOMPATIBLE, weights, "not the weights that the model was compiled with");
  }
#else
  (void)weights;
#endif
  return allocate(model_info()->workspace_bytes);
}

/* Runs the model for the sizes of a plan. */
static void run_model(const quern_model_plan *plan, void **inputs, void **outputs,
                      void *workspace) {
#ifdef MODEL_TAKES_SIZES
  int status = model_run(plan->sizes, (const void *const *)inputs, outputs, workspace);
#else
  int status = model_run((const void *const *)inputs, outputs, workspace);
  (void)plan;
#endif
  if (status == QUERN_MODEL_OK)
    return;
  fprintf(stderr, "error: the model returned status %d\n", status);
  if (status == QUERN_MODEL_TOO_MANY_ITERATIONS || status == QUERN_MODEL_OUT_OF_MEMORY)
    exit(EXIT_LIMIT);
  exit(status >= QUERN_MODEL_REFUSED ? EXIT_INVALID_INPUT : EXIT_INTERNAL);
}

/* Memory for so many tensors. */
static void **allocate_tensors(const quern_model_port *ports, int count) {
  void **tensors = (void **)allocate((int64_t)sizeof(void *) * count);
  int i;
  for (i = 0; i < count; ++i)
    tensors[i] = allocate(ports[i].bytes);
  return tensors;
}
