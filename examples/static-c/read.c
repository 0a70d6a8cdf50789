/* Reads a picture of a digit, drawn in characters, with a model that is part of the program.
 *
 *     read PICTURE.txt: 8 lines of 8 characters, from ' ' (paper) to '9' (ink)
 */
#include "digits.h"

#include <stdio.h>

/* The compiler knows all sizes, so nothing is allocated. */
static float image[8 * 8];
static float probabilities[10];
static _Alignas(QUERN_MODEL_WORKSPACE_ALIGNMENT) char workspace[DIGITS_WORKSPACE_BYTES + 1];

_Static_assert(sizeof image == DIGITS_INPUT_0_BYTES, "the model wants one image");
_Static_assert(sizeof probabilities == DIGITS_OUTPUT_0_BYTES, "the model knows ten digits");

static int readPicture(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file)
    return 0;
  for (int row = 0; row < 8; ++row) {
    char line[64];
    if (!fgets(line, sizeof line, file))
      break;
    for (int column = 0; column < 8 && line[column] >= ' '; ++column)
      image[row * 8 + column] = line[column] == ' ' ? 0 : (float)(line[column] - '0') / 9;
  }
  fclose(file);
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 2 || !readPicture(argv[1])) {
    fprintf(stderr, "usage: read PICTURE.txt\n");
    return 2;
  }
  if (!digits_cpu_ok()) {
    fprintf(stderr, "the model was compiled for another CPU\n");
    return 7;
  }
  const void *inputs[] = {image};
  void *outputs[] = {probabilities};
  int status = digits_run(inputs, outputs, workspace);
  if (status != QUERN_MODEL_OK) {
    fprintf(stderr, "digits_run: status %d\n", status);
    return 1;
  }
  int best = 0;
  for (int digit = 1; digit < 10; ++digit)
    if (probabilities[digit] > probabilities[best])
      best = digit;
  printf("a %d, for %.0f %%\n", best, 100 * probabilities[best]);
  return 0;
}
