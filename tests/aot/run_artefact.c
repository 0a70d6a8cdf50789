/* Runs a compiled model that is a library:
 *
 *     run_artefact LIBRARY PREFIX [SIZE...] INPUT... OUTPUT...
 *
 * with the sizes that the model was compiled for, when it was for several, and with the elements of
 * each input in a file, and of each output written to one. Prints a line for each output: its type,
 * a value of onnx.TensorProto.DataType, and its sizes. Exit code 7 when this CPU cannot run the
 * model, 1 for everything else that fails. Without files it prints the CPU that the code to run
 * here was made for. The LIBRARY "-" is this program, which a model was linked into (with
 * -rdynamic). */
#include "quern/model_abi.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, const char *which) {
  fprintf(stderr, "run_artefact: %s: %s\n", what, which);
  exit(1);
}

static void *find(void *library, const char *prefix, const char *name) {
  char symbol[256];
  snprintf(symbol, sizeof symbol, "%s_%s", prefix, name);
  void *address = dlsym(library, symbol);
  if (!address)
    fail("no such function", symbol);
  return address;
}

/* The least that aligned_alloc takes, even of an empty tensor. */
static void *allocate(int64_t bytes) {
  void *memory = aligned_alloc(64, ((size_t)bytes / 64 + 1) * 64);
  if (!memory)
    fail("no memory", "for a tensor");
  return memory;
}

static void move(const char *path, const char *mode, void *data, int64_t bytes) {
  FILE *file = fopen(path, mode);
  size_t size = (size_t)bytes;
  if (!file)
    fail("cannot open", path);
  size_t moved = *mode == 'r' ? fread(data, 1, size, file) : fwrite(data, 1, size, file);
  if (moved != size || fclose(file) != 0)
    fail("wrong size", path);
}

typedef int (*run_fn)(const void *const *, void *const *, void *);
typedef int (*run_sizes_fn)(const int64_t *, const void *const *, void *const *, void *);

/* The first plan when there is none for these sizes: the model must notice. */
static const quern_model_plan *find_plan(const quern_model_info *info, const int64_t *sizes) {
  for (int i = 0; i < info->plan_count; ++i)
    if (memcmp(info->plans[i].sizes, sizes, (size_t)info->size_count * sizeof *sizes) == 0)
      return &info->plans[i];
  return &info->plans[0];
}

int main(int argc, char **argv) {
  if (argc < 3)
    fail("usage", "run_artefact LIBRARY PREFIX INPUT... OUTPUT...");
  const char *path = strcmp(argv[1], "-") == 0 ? NULL : argv[1];
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    fail("cannot load", dlerror());
  const quern_model_info *info =
      ((const quern_model_info *(*)(void))find(library, argv[2], "info"))();
  int (*cpuOk)(void) = (int (*)(void))find(library, argv[2], "cpu_ok");
  void *run = find(library, argv[2], "run");
  const quern_model_port *ports = info->inputs, *results = info->outputs;
  int inputs = info->input_count, outputs = info->output_count;
  if (argc == 3) {
    puts(info->target_cpu);
    return cpuOk() ? 0 : 7;
  }
  if (argc != 3 + info->size_count + inputs + outputs)
    fail("wrong number of sizes and files for", argv[1]);
  char **files = argv + 3 + info->size_count;
  int64_t *sizes = calloc((size_t)info->size_count + 1, sizeof *sizes);
  for (int i = 0; i < info->size_count; ++i)
    sizes[i] = atoll(argv[3 + i]);
  if (info->size_count > 0) {
    ports = find_plan(info, sizes)->inputs;
    results = find_plan(info, sizes)->outputs;
  }
  void **tensors = calloc((size_t)(inputs + outputs) + 1, sizeof *tensors);
  for (int i = 0; i < inputs; ++i) {
    tensors[i] = allocate(ports[i].bytes);
    move(files[i], "rb", tensors[i], ports[i].bytes);
  }
  for (int i = 0; i < outputs; ++i)
    tensors[inputs + i] = allocate(results[i].bytes);
  if (!cpuOk())
    return 7;
  const void *const *given = (const void *const *)tensors;
  void *workspace = allocate(info->workspace_bytes);
  int status = info->size_count > 0 ? ((run_sizes_fn)run)(sizes, given, tensors + inputs, workspace)
                                    : ((run_fn)run)(given, tensors + inputs, workspace);
  if (status != QUERN_MODEL_OK) {
    fprintf(stderr, "run_artefact: status %d\n", status);
    return 1;
  }
  for (int i = 0; i < outputs; ++i) {
    const quern_model_port *port = &results[i];
    move(files[inputs + i], "wb", tensors[inputs + i], port->bytes);
    printf("%d", (int)port->dtype);
    for (int d = 0; d < port->rank; ++d)
      printf(" %lld", (long long)port->dims[d]);
    puts("");
  }
  return 0;
}
