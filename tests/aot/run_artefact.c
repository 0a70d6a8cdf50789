/* Runs a compiled model that is a library:
 *
 *     run_artefact LIBRARY PREFIX INPUT... OUTPUT...
 *
 * with the elements of each input in a file, and of each output written to one. Prints a line
 * for each output: its type, a value of onnx.TensorProto.DataType, and its sizes. Exit code 7
 * when this CPU cannot run the model, 1 for everything else that fails. Without files it
 * prints the CPU that the code to run here was made for. The LIBRARY "-" is this program, which
 * a model was linked into (with -rdynamic). */
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
  int (*run)(const void *const *, void *const *, void *) =
      (int (*)(const void *const *, void *const *, void *))find(library, argv[2], "run");
  int inputs = info->input_count, outputs = info->output_count;
  if (argc == 3) {
    puts(info->target_cpu);
    return cpuOk() ? 0 : 7;
  }
  if (argc != 3 + inputs + outputs)
    fail("wrong number of files for", argv[1]);
  void **tensors = calloc((size_t)(inputs + outputs) + 1, sizeof *tensors);
  for (int i = 0; i < inputs; ++i) {
    tensors[i] = allocate(info->inputs[i].bytes);
    move(argv[3 + i], "rb", tensors[i], info->inputs[i].bytes);
  }
  for (int i = 0; i < outputs; ++i)
    tensors[inputs + i] = allocate(info->outputs[i].bytes);
  if (!cpuOk())
    return 7;
  int status = run((const void *const *)tensors, tensors + inputs, allocate(info->workspace_bytes));
  if (status != QUERN_MODEL_OK) {
    fprintf(stderr, "run_artefact: status %d\n", status);
    return 1;
  }
  for (int i = 0; i < outputs; ++i) {
    const quern_model_port *port = &info->outputs[i];
    move(argv[3 + inputs + i], "wb", tensors[inputs + i], port->bytes);
    printf("%d", (int)port->dtype);
    for (int d = 0; d < port->rank; ++d)
      printf(" %lld", (long long)port->dims[d]);
    puts("");
  }
  return 0;
}
