/* Runs the model on inputs of this folder and compares what it gives with what Quern's
 * interpreter gave, which is in the folder too:
 *
 *     PROGRAM [FOLDER]
 *
 * Exit code 0 when |found - wanted| <= MODEL_ABSOLUTE + MODEL_RELATIVE * |wanted| +
 * MODEL_OF_LARGEST * the largest |wanted| of the output, for all elements, and integers are equal;
 * 5 when not. */
#include <math.h>
#include <time.h>

static double half(unsigned bits) {
  int exponent = (int)(bits >> 10 & 31);
  double fraction = (double)(bits & 1023), sign = bits >> 15 ? -1 : 1;
  if (exponent == 31)
    return fraction != 0 ? NAN : sign * INFINITY;
  if (exponent == 0)
    return sign * fraction / 16777216;
  for (fraction = 1 + fraction / 1024; exponent > 15; --exponent)
    fraction *= 2;
  for (; exponent < 15; ++exponent)
    fraction /= 2;
  return sign * fraction;
}

/* Bytes of a number, of which complex elements have two; 0 for what is compared bit by bit. */
static int float_bytes(int dtype) {
  return dtype == 1 || dtype == 14    ? 4
         : dtype == 11 || dtype == 15 ? 8
         : dtype == 10 || dtype == 16 ? 2
                                      : 0;
}

static double number_at(const void *data, int64_t i, int dtype) {
  uint16_t bits;
  uint32_t wide;
  float single;
  double full;
  switch (float_bytes(dtype)) {
  case 8:
    memcpy(&full, (const char *)data + 8 * i, 8);
    return full;
  case 4:
    memcpy(&single, (const char *)data + 4 * i, 4);
    return single;
  default:
    memcpy(&bits, (const char *)data + 2 * i, 2);
    if (dtype == 10)
      return half(bits);
    wide = (uint32_t)bits << 16;
    memcpy(&single, &wide, 4);
    return single;
  }
}

static double largest_magnitude(const void *data, int64_t count, int dtype) {
  double largest = 0;
  int64_t i;
  for (i = 0; i < count; ++i) {
    double magnitude = fabs(number_at(data, i, dtype));
    if (isfinite(magnitude) && magnitude > largest)
      largest = magnitude;
  }
  return largest;
}

/* Prints how far two tensors are apart; how many numbers differ too much. */
static int64_t compare(const quern_model_port *port, const void *wanted, const void *found) {
  int width = float_bytes(port->dtype);
  int64_t count = width ? port->bytes / width : port->bytes, wrong = 0, i;
  double most = 0, always = MODEL_ABSOLUTE;
  if (width)
    always += MODEL_OF_LARGEST * largest_magnitude(wanted, count, port->dtype);
  for (i = 0; i < count; ++i) {
    double a, b, distance;
    if (!width) {
      wrong += ((const char *)wanted)[i] != ((const char *)found)[i];
      continue;
    }
    a = number_at(wanted, i, port->dtype);
    b = number_at(found, i, port->dtype);
    if (a == b || (isnan(a) && isnan(b)))
      continue;
    distance = fabs(a - b);
    if (!(distance <= always + MODEL_RELATIVE * fabs(a)) || isinf(a))
      ++wrong;
    if (!(distance <= most))
      most = distance;
  }
  if (width)
    printf("output %s: max error %.3g", port->name, most);
  else
    printf("output %s", port->name);
  printf(", %" PRId64 " of %" PRId64 " %s differ\n", wrong, count, width ? "numbers" : "bytes");
  return wrong;
}

static void *read_file(const char *folder, int plan, const char *kind, int i, int64_t bytes) {
  char *path = (char *)allocate((int64_t)strlen(folder) + 64);
  void *data = allocate(bytes);
  sprintf(path, "%s/plan%d_%s%d.bin", folder, plan, kind, i);
  read_rest(open_file(path, "rb"), path, data, bytes);
  return data;
}

/* The mean time of a run, in milliseconds. */
static double time_runs(const quern_model_plan *plan, void **inputs, void **outputs,
                        void *workspace) {
  clock_t begin = clock(), spent = 0;
  int runs;
  for (runs = 0; runs < 1000 && spent < CLOCKS_PER_SEC / 5; ++runs) {
    run_model(plan, inputs, outputs, workspace);
    spent = clock() - begin;
  }
  return 1e3 * (double)spent / CLOCKS_PER_SEC / runs;
}

int main(int argc, char **argv) {
  static const int plans[] = MODEL_TESTED_PLANS;
  const quern_model_info *info = model_info();
  const char *folder = argc > 1 ? argv[1] : ".";
  char *weights = (char *)allocate((int64_t)strlen(folder) + 64);
  void *workspace;
  int64_t wrong = 0;
  size_t p;
  int i;
#ifdef MODEL_WEIGHTS
  sprintf(weights, "%s/%s", folder, MODEL_WEIGHTS);
#endif
  workspace = prepare_model(weights);
  for (p = 0; p < sizeof plans / sizeof *plans; ++p) {
    const quern_model_plan *plan = &info->plans[plans[p]];
    void **inputs = allocate_tensors(plan->inputs, info->input_count);
    void **outputs = allocate_tensors(plan->outputs, info->output_count);
    for (i = 0; i < info->size_count; ++i) {
      print_name(stdout, info->size_names[i]);
      printf("=%" PRId64 "%s", plan->sizes[i], i + 1 < info->size_count ? ", " : ":\n");
    }
    for (i = 0; i < info->input_count; ++i)
      inputs[i] = read_file(folder, plans[p], "input", i, plan->inputs[i].bytes);
    run_model(plan, inputs, outputs, workspace);
    for (i = 0; i < info->output_count; ++i)
      wrong +=
          compare(&plan->outputs[i],
                  read_file(folder, plans[p], "output", i, plan->outputs[i].bytes), outputs[i]);
    printf("a run takes %.4g ms\n", time_runs(plan, inputs, outputs, workspace));
  }
  puts(wrong ? "WRONG" : "ok");
  return wrong ? EXIT_MISMATCH : 0;
}
