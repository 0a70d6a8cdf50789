/* Beside.c LIBRARY MODEL OTHER... - loads libquern.so privately into a process that has other
 * libraries (another LLVM, say) whose symbols are global, and compiles and runs a model. */
#define _POSIX_C_SOURCE 200112L
#include "quern.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void *library;

static void *find(const char *name) {
  void *symbol = dlsym(library, name);
  if (!symbol) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return symbol;
}

int main(int argc, char **argv) {
  quern_status (*load)(const char *, const quern_load_options *, quern_model **);
  quern_status (*compile)(const quern_model *, const quern_compile_options *, quern_executable **);
  quern_status (*create)(const quern_executable *, const quern_session_options *, quern_session **);
  quern_status (*sample)(const quern_model *, uint64_t, quern_value **, size_t);
  quern_status (*run)(quern_session *, const quern_value *const *, size_t, quern_value **, size_t);
  const char *(*last_error)(void);
  quern_model *model = NULL;
  quern_executable *executable = NULL;
  quern_session *session = NULL;
  quern_value *input = NULL, *output = NULL;
  int i;
  if (argc < 3)
    return 2;
  for (i = 3; i < argc; ++i)
    printf("%s %s\n", argv[i], dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL) ? "loaded" : "not here");
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  *(void **)&load = find("quern_model_load");
  *(void **)&compile = find("quern_model_compile");
  *(void **)&create = find("quern_session_create");
  *(void **)&sample = find("quern_model_sample_inputs");
  *(void **)&run = find("quern_session_run");
  *(void **)&last_error = find("quern_last_error");
  if (load(argv[2], NULL, &model) || compile(model, NULL, &executable) ||
      create(executable, NULL, &session) || sample(model, 0, &input, 1) ||
      run(session, (const quern_value *const *)&input, 1, &output, 1)) {
    fprintf(stderr, "%s\n", last_error());
    return 1;
  }
  return 0;
}
