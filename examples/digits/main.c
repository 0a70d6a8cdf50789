/* Calls the digits network, compiled ahead of time, from C.
 *
 *     quern compile digits.onnx --dim N=1 -o digits.so --header digits.h
 *     cc -I. main.c ./digits.so -o digits
 *     ./digits images.npy labels.npy
 *
 * The program needs neither Quern nor a C++ library: the caller owns all memory.
 */
#include "digits.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE_FLOATS = 64, CLASSES = 10 };

_Static_assert(DIGITS_INPUT_0_BYTES == IMAGE_FLOATS * sizeof(float), "one image of 8x8");
_Static_assert(DIGITS_OUTPUT_0_BYTES == CLASSES * sizeof(float), "one probability per digit");

/* Reads a version 1 .npy file whose header contains `dtype`; returns the number of elements
 * and their bytes in *data, or 0 after a message. */
static size_t readNpy(const char *path, const char *dtype, size_t elementBytes, void **data) {
  size_t count = 0;
  FILE *file = fopen(path, "rb");
  unsigned char start[10];
  char header[65536];
  if (!file) {
    perror(path);
    return 0;
  }
  if (fread(start, 1, sizeof start, file) != sizeof start || memcmp(start, "\x93NUMPY\x01", 7)) {
    fprintf(stderr, "%s: not a version 1 .npy file\n", path);
    goto done;
  }
  size_t headerBytes = start[8] + 256u * start[9];
  if (fread(header, 1, headerBytes, file) != headerBytes) {
    fprintf(stderr, "%s: the header is cut off\n", path);
    goto done;
  }
  header[headerBytes] = '\0';
  if (!strstr(header, dtype) || !strstr(header, "'fortran_order': False")) {
    fprintf(stderr, "%s: wanted row-major %s, found %s", path, dtype, header);
    goto done;
  }
  fseek(file, 0, SEEK_END);
  size_t bytes = (size_t)ftell(file) - sizeof start - headerBytes;
  fseek(file, (long)(sizeof start + headerBytes), SEEK_SET);
  *data = malloc(bytes);
  if (*data && fread(*data, 1, bytes, file) == bytes)
    count = bytes / elementBytes;
  else
    fprintf(stderr, "%s: could not be read\n", path);
done:
  fclose(file);
  return count;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s images.npy labels.npy\n", argv[0]);
    return 2;
  }
  if (!digits_cpu_ok()) {
    fprintf(stderr, "this model was compiled for another CPU\n");
    return 7;
  }
  float *images = NULL;
  int64_t *labels = NULL;
  size_t pixels = readNpy(argv[1], "'<f4'", sizeof *images, (void **)&images);
  size_t count = readNpy(argv[2], "'<i8'", sizeof *labels, (void **)&labels);
  if (count == 0 || pixels != count * IMAGE_FLOATS) {
    fprintf(stderr, "found %zu pixels for %zu labels, wanted %d for each\n", pixels, count,
            IMAGE_FLOATS);
    return 8;
  }
  /* aligned_alloc wants a multiple of the alignment, and a size above 0. */
  size_t workspaceBytes = (size_t)DIGITS_WORKSPACE_BYTES / 64 * 64 + 64;
  void *workspace = aligned_alloc(64, workspaceBytes);
  if (!workspace) {
    fprintf(stderr, "no memory for a workspace of %zu bytes\n", workspaceBytes);
    return 9;
  }

  size_t right = 0;
  for (size_t i = 0; i < count; ++i) {
    float probabilities[CLASSES];
    const void *inputs[] = {images + i * IMAGE_FLOATS};
    void *outputs[] = {probabilities};
    if (digits_run(inputs, outputs, workspace) != 0) {
      fprintf(stderr, "digits_run failed on image %zu\n", i);
      return 1;
    }
    int best = 0;
    for (int c = 1; c < CLASSES; ++c)
      if (probabilities[c] > probabilities[best])
        best = c;
    right += best == labels[i];
  }
  printf("%.2f%%\n", 100.0 * (double)right / (double)count);
  free(workspace);
  free(labels);
  free(images);
  return 0;
}
