/* Runs the model on files:
 *
 *     PROGRAM [NAME=SIZE...] [-w WEIGHTS] INPUT... OUTPUT...
 *
 * Each input is a .npy file or the bare elements, dense and row-major; an output whose name
 * ends with .npy is written as such a file, any other as bare elements. NAME=SIZE is needed
 * for each dimension of a model of several sizes. Without arguments, says what it takes. */

/* The type of elements in .npy files, without byte order; null when there is none. */
static const char *npy_type(int dtype) {
  static const char *const types[] = {NULL, "f4", "u1", "i1", "u2", "i2", "i4", "i8",
                                      NULL, "b1", "f2", "f8", "u4", "u8", "c8", "c16"};
  return dtype > 0 && dtype < 16 ? types[dtype] : NULL;
}

static int ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* "1x3x8", to standard error. */
static void print_port(const char *kind, const quern_model_port *port) {
  int d;
  fprintf(stderr, "  %s ", kind);
  print_name(stderr, port->name);
  fprintf(stderr, ": %s ", npy_type(port->dtype) ? npy_type(port->dtype) : "elements");
  for (d = 0; d < port->rank; ++d) {
    const char *name = port->dims[d] < 0 && port->dim_names ? port->dim_names[d] : NULL;
    fputs(d ? "x" : "", stderr);
    if (port->dims[d] >= 0)
      fprintf(stderr, "%" PRId64, port->dims[d]);
    else
      print_name(stderr, name ? name : "?");
  }
  fprintf(stderr, ", %s%" PRId64 " bytes\n", port->dim_names ? "up to " : "", port->bytes);
}

static int usage(void) {
  const quern_model_info *info = model_info();
  int i;
  fprintf(stderr, "usage: PROGRAM [NAME=SIZE...] [-w WEIGHTS] INPUT... OUTPUT...\n"
                  "files are .npy or bare elements; model ");
  print_name(stderr, info->name);
  fputs(" takes\n", stderr);
  for (i = 0; i < info->size_count; ++i) {
    fputs("  size ", stderr);
    print_name(stderr, info->size_names[i]);
    fputc('\n', stderr);
  }
  for (i = 0; i < info->input_count; ++i)
    print_port("input", &info->inputs[i]);
  for (i = 0; i < info->output_count; ++i)
    print_port("output", &info->outputs[i]);
  return EXIT_USAGE;
}

/* Behind `key` and blanks in the header of a .npy file. */
static const char *npy_field(const char *header, const char *key, const char *path) {
  const char *found = strstr(header, key);
  if (!found)
    fail(EXIT_INVALID_INPUT, path, "no .npy file that this program can read");
  found += strlen(key);
  return found + strspn(found, " ");
}

/* The tensor is of the type and sizes that the model takes. */
static void check_npy(const char *header, const quern_model_port *port, const char *path) {
  const char *type = npy_type(port->dtype), *at = npy_field(header, "'descr':", path);
  char *end;
  int d;
  if (!type || at[0] == '\0' || at[1] == '>' || at[1] == '\0' ||
      strncmp(at + 2, type, strlen(type)) != 0 || at[2 + strlen(type)] != '\'')
    fail(EXIT_INVALID_INPUT, path, "not of the input's type");
  if (strncmp(npy_field(header, "'fortran_order':", path), "False", 5) != 0)
    fail(EXIT_INVALID_INPUT, path, "not in row-major order");
  at = npy_field(header, "'shape':", path);
  at += *at == '(';
  for (d = 0; d < port->rank; ++d) {
    long long size = strtoll(at, &end, 10);
    if (end == at || size != port->dims[d])
      fail(EXIT_INVALID_INPUT, path, "not of the input's sizes");
    at = end + strspn(end, ", ");
  }
  if (*at != ')')
    fail(EXIT_INVALID_INPUT, path, "not of the input's sizes");
}

static void read_tensor(const char *path, const quern_model_port *port, void *data) {
  unsigned char start[12];
  FILE *file = open_file(path, "rb");
  size_t got = fread(start, 1, 10, file), bytes;
  char *header;
  if (got < 10 || memcmp(start, "\x93NUMPY", 6) != 0) {
    rewind(file);
    read_rest(file, path, data, port->bytes);
    return;
  }
  bytes = start[8] + ((size_t)start[9] << 8);
  if (start[6] > 1) {
    if (fread(start + 10, 1, 2, file) != 2)
      fail(EXIT_INVALID_INPUT, path, "cut off");
    bytes += ((size_t)start[10] << 16) + ((size_t)start[11] << 24);
  }
  if (bytes > 65536)
    fail(EXIT_INVALID_INPUT, path, "no .npy file that this program can read");
  header = (char *)allocate((int64_t)bytes + 1);
  if (fread(header, 1, bytes, file) != bytes)
    fail(EXIT_INVALID_INPUT, path, "cut off");
  header[bytes] = '\0';
  check_npy(header, port, path);
  read_rest(file, path, data, port->bytes);
}

/* The header's bytes behind the first ten, padded for 64. */
static void write_npy_header(FILE *file, const quern_model_port *port, const char *path) {
  char header[2048];
  const char *type = npy_type(port->dtype);
  size_t length, padded;
  int d;
  if (!type || port->rank > 64)
    fail(EXIT_USAGE, path, "no .npy file can have this output: name it without .npy");
  length = (size_t)sprintf(header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                           type[1] == '1' && type[2] == '\0' ? '|' : '<', type);
  for (d = 0; d < port->rank; ++d)
    length += (size_t)sprintf(header + length, "%" PRId64 ",", port->dims[d]);
  length += (size_t)sprintf(header + length, "), }");
  padded = (10 + length + 64) / 64 * 64 - 10;
  memset(header + length, ' ', padded - length);
  header[padded - 1] = '\n';
  fwrite("\x93NUMPY\x01\x00", 1, 8, file);
  fputc((int)(padded & 255), file);
  fputc((int)(padded >> 8), file);
  fwrite(header, 1, padded, file);
}

static void write_tensor(const char *path, const quern_model_port *port, const void *data) {
  FILE *file = open_file(path, "wb");
  if (ends_with(path, ".npy"))
    write_npy_header(file, port, path);
  if (fwrite(data, 1, (size_t)port->bytes, file) != (size_t)port->bytes || fclose(file) != 0)
    fail(EXIT_IO, path, "cannot be written");
}

/* Whether the argument is the size of a dimension. */
static int take_size(const char *argument, int64_t *sizes) {
  const char *equals = strrchr(argument, '=');
  int i;
  for (i = 0; equals && i < model_info()->size_count; ++i) {
    const char *name = model_info()->size_names[i];
    if (strlen(name) == (size_t)(equals - argument) &&
        memcmp(name, argument, (size_t)(equals - argument)) == 0) {
      sizes[i] = strtoll(equals + 1, NULL, 10);
      return 1;
    }
  }
  return 0;
}

static const quern_model_plan *find_plan(const int64_t *sizes) {
  const quern_model_info *info = model_info();
  int i;
  for (i = 0; i < info->plan_count; ++i)
    if (info->size_count == 0 ||
        memcmp(info->plans[i].sizes, sizes, sizeof *sizes * (size_t)info->size_count) == 0)
      return &info->plans[i];
  fail(EXIT_INVALID_INPUT, "NAME=SIZE", "the model was not compiled for these sizes");
  return NULL;
}

#ifndef MODEL_WEIGHTS
#define MODEL_WEIGHTS_DEFAULT NULL
#else
#define MODEL_WEIGHTS_DEFAULT MODEL_WEIGHTS
#endif

int main(int argc, char **argv) {
  const quern_model_info *info = model_info();
  const char *weights = MODEL_WEIGHTS_DEFAULT;
  int64_t *sizes = (int64_t *)allocate((int64_t)sizeof(int64_t) * (info->size_count + 1));
  int first = 1, given = 0, i;
  const quern_model_plan *plan;
  void **inputs, **outputs, *workspace;
  for (; first < argc; ++first) {
    if (take_size(argv[first], sizes))
      ++given;
    else if (strcmp(argv[first], "-w") == 0 && first + 1 < argc)
      weights = argv[++first];
    else
      break;
  }
  if (given != info->size_count || argc - first != info->input_count + info->output_count)
    return usage();
  plan = find_plan(sizes);
  workspace = prepare_model(weights);
  inputs = allocate_tensors(plan->inputs, info->input_count);
  outputs = allocate_tensors(plan->outputs, info->output_count);
  for (i = 0; i < info->input_count; ++i)
    read_tensor(argv[first + i], &plan->inputs[i], inputs[i]);
  run_model(plan, inputs, outputs, workspace);
  for (i = 0; i < info->output_count; ++i)
    write_tensor(argv[first + info->input_count + i], &plan->outputs[i], outputs[i]);
  return 0;
}
