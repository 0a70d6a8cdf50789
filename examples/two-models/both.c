/* Two models in one program: the first makes the image that the second reads. */
#include "digits.h"
#include "upscale.h"

#include <stdio.h>

_Static_assert(UPSCALE_OUTPUT_0_BYTES == DIGITS_INPUT_0_BYTES, "the models fit together");

enum {
  WORKSPACE_BYTES = UPSCALE_WORKSPACE_BYTES > DIGITS_WORKSPACE_BYTES ? UPSCALE_WORKSPACE_BYTES
                                                                     : DIGITS_WORKSPACE_BYTES
};

/* The models run one after the other, so one workspace serves both. */
static _Alignas(QUERN_MODEL_WORKSPACE_ALIGNMENT) char workspace[WORKSPACE_BYTES + 1];

static const unsigned char kPicture[4][4] = {
    {0, 255, 255, 0}, {200, 0, 0, 200}, {200, 0, 0, 200}, {0, 255, 255, 0}};

int main(void) {
  static float image[DIGITS_INPUT_0_BYTES / sizeof(float)];
  static float probabilities[DIGITS_OUTPUT_0_BYTES / sizeof(float)];
  const void *bytes[] = {kPicture}, *images[] = {image};
  void *made[] = {image}, *outputs[] = {probabilities};
  if (!upscale_cpu_ok() || !digits_cpu_ok())
    return 7;
  if (upscale_run(bytes, made, workspace) != QUERN_MODEL_OK ||
      digits_run(images, outputs, workspace) != QUERN_MODEL_OK)
    return 1;
  int best = 0;
  for (int digit = 1; digit < 10; ++digit)
    if (probabilities[digit] > probabilities[best])
      best = digit;
  printf("%s, then %s: it looks like a %d\n", upscale_info()->name, digits_info()->name, best);
  return 0;
}
