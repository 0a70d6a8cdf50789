/* Reads any number of digits in batches of the sizes that the model was compiled for.
 *
 *     batches IMAGES.npy LABELS.npy
 */
#include "../npy.h"
#include "digits.h"

#include <stdint.h>

enum { PIXELS = 64, CLASSES = 10 };

static const int64_t sizes[DIGITS_SIZE_0_COUNT] = DIGITS_SIZE_0_VALUES; /* they ascend */
/* Enough for the largest batch. */
static float probabilities[DIGITS_OUTPUT_0_BYTES / sizeof(float)];
static _Alignas(QUERN_MODEL_WORKSPACE_ALIGNMENT) char workspace[DIGITS_WORKSPACE_BYTES];

static int64_t largestUpTo(int64_t count) {
  int i = DIGITS_SIZE_0_COUNT - 1;
  while (i > 0 && sizes[i] > count)
    --i;
  return sizes[i];
}

static int digitOf(const float *row) {
  int best = 0;
  for (int digit = 1; digit < CLASSES; ++digit)
    if (row[digit] > row[best])
      best = digit;
  return best;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: batches IMAGES.npy LABELS.npy\n");
    return 2;
  }
  size_t imageBytes, labelBytes;
  float *images = readNpy(argv[1], &imageBytes);
  int64_t *labels = readNpy(argv[2], &labelBytes);
  int64_t count = (int64_t)(imageBytes / (PIXELS * sizeof(float)));
  if (!images || !labels || labelBytes != (size_t)count * sizeof *labels)
    return 1;
  int64_t right = 0, runs = 0;
  for (int64_t first = 0, batch; first < count; first += batch, ++runs) {
    batch = largestUpTo(count - first);
    const void *inputs[] = {images + first * PIXELS};
    void *outputs[] = {probabilities};
    int status = digits_run(&batch, inputs, outputs, workspace);
    if (status != QUERN_MODEL_OK) {
      fprintf(stderr, "digits_run: status %d\n", status);
      return 1;
    }
    for (int64_t i = 0; i < batch; ++i)
      right += digitOf(probabilities + i * CLASSES) == labels[first + i];
  }
  printf("%d of %d right, in %d runs\n", (int)right, (int)count, (int)runs);
  free(images);
  free(labels);
  return 0;
}
