/* Reads .npy files, for the examples. */
#ifndef EXAMPLES_NPY_H
#define EXAMPLES_NPY_H

#include <stdio.h>
#include <stdlib.h>

/* The bytes of the elements of a version 1 .npy file, and their number in *bytes; NULL after a
 * message. The caller frees them. */
static void *readNpy(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  unsigned char start[10];
  void *data = NULL;
  *bytes = 0;
  if (!file || fread(start, 1, sizeof start, file) != sizeof start) {
    fprintf(stderr, "%s: cannot be read\n", path);
  } else {
    long first = 10 + start[8] + 256L * start[9], last;
    fseek(file, 0, SEEK_END);
    last = ftell(file);
    fseek(file, first, SEEK_SET);
    if (last > first && (data = malloc((size_t)(last - first))))
      *bytes = fread(data, 1, (size_t)(last - first), file);
  }
  if (file)
    fclose(file);
  return data;
}

#endif
