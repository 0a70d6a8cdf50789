/* Runs a model with threads of the program's own: they wait for work between the steps, and the
 * model never starts one. The results have the same bits as with one thread.
 *
 *     pool IMAGES.npy LABELS.npy
 */
#include "../npy.h"
#include "digits.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, IMAGES = 360, CLASSES = 10 };

typedef struct Pool {
  pthread_mutex_t mutex;
  pthread_cond_t started, finished;
  /* The work of a step: tasks that nobody has begun start at `next`. */
  quern_task_fn task;
  void *closure;
  long long next, end, grain;
  int busy;
  unsigned step;
  int closing;
} Pool;

typedef struct Worker {
  Pool *pool;
  int number;
} Worker;

/* Does tasks until none is left; the mutex is held at the beginning and at the end. */
static void work(Pool *pool, int number) {
  while (pool->next < pool->end) {
    long long begin = pool->next, end = begin + pool->grain;
    if (end > pool->end)
      end = pool->end;
    pool->next = end;
    pthread_mutex_unlock(&pool->mutex);
    pool->task(pool->closure, number, begin, end);
    pthread_mutex_lock(&pool->mutex);
  }
}

static void *waitForWork(void *argument) {
  Worker *worker = argument;
  Pool *pool = worker->pool;
  unsigned seen = 0;
  pthread_mutex_lock(&pool->mutex);
  while (!pool->closing) {
    if (seen == pool->step) {
      pthread_cond_wait(&pool->started, &pool->mutex);
      continue;
    }
    seen = pool->step;
    ++pool->busy;
    work(pool, worker->number);
    if (--pool->busy == 0)
      pthread_cond_signal(&pool->finished);
  }
  pthread_mutex_unlock(&pool->mutex);
  return NULL;
}

/* What the model calls for its larger steps; see quern_parallel_for_fn in digits.h. */
static void parallelFor(void *context, int64_t tasks, int64_t grain, quern_task_fn task,
                        void *closure) {
  Pool *pool = context;
  pthread_mutex_lock(&pool->mutex);
  pool->task = task;
  pool->closure = closure;
  pool->next = 0;
  pool->end = tasks;
  pool->grain = grain > 0 ? grain : 1;
  ++pool->step;
  pthread_cond_broadcast(&pool->started);
  /* The caller's thread is worker 0. */
  work(pool, 0);
  while (pool->busy > 0)
    pthread_cond_wait(&pool->finished, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
}

/* Memory for a run with so many workers. */
static void *allocateWorkspace(int workers) {
  size_t bytes = DIGITS_WORKSPACE_BYTES + (size_t)(workers - 1) * DIGITS_WORKER_BYTES;
  return aligned_alloc(QUERN_MODEL_WORKSPACE_ALIGNMENT, bytes / 64 * 64 + 64);
}

static int countRight(const float *probabilities, const int64_t *labels) {
  int right = 0;
  for (int i = 0; i < IMAGES; ++i) {
    const float *row = probabilities + i * CLASSES;
    int best = 0;
    for (int c = 1; c < CLASSES; ++c)
      if (row[c] > row[best])
        best = c;
    right += best == labels[i];
  }
  return right;
}

int main(int argc, char **argv) {
  static Pool pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                      .started = PTHREAD_COND_INITIALIZER,
                      .finished = PTHREAD_COND_INITIALIZER};
  static float alone[IMAGES * CLASSES], together[IMAGES * CLASSES];
  pthread_t threads[THREADS];
  Worker workers[THREADS];
  size_t imageBytes = 0, labelBytes = 0;
  float *images = argc == 3 ? readNpy(argv[1], &imageBytes) : NULL;
  int64_t *labels = argc == 3 ? readNpy(argv[2], &labelBytes) : NULL;
  if (imageBytes != DIGITS_INPUT_0_BYTES || labelBytes != IMAGES * sizeof *labels) {
    fprintf(stderr, "usage: pool IMAGES.npy LABELS.npy, with %d images\n", IMAGES);
    return 2;
  }
  if (!digits_cpu_ok())
    return 7;

  int started = 1;
  for (; started < THREADS; ++started) {
    workers[started] = (Worker){&pool, started};
    if (pthread_create(&threads[started], NULL, waitForWork, &workers[started]) != 0)
      break;
  }
  const void *inputs[] = {images};
  void *outputs[] = {alone}, *others[] = {together};
  void *workspace = allocateWorkspace(started);
  if (!workspace || digits_run(inputs, outputs, workspace) != QUERN_MODEL_OK ||
      digits_run_parallel(inputs, others, workspace, parallelFor, &pool) != QUERN_MODEL_OK)
    return 1;
  printf("%d threads: %d of %d right, %s bits\n", started, countRight(together, labels), IMAGES,
         memcmp(alone, together, sizeof alone) == 0 ? "the same" : "other");

  pthread_mutex_lock(&pool.mutex);
  pool.closing = 1;
  pthread_cond_broadcast(&pool.started);
  pthread_mutex_unlock(&pool.mutex);
  while (--started > 0)
    pthread_join(threads[started], NULL);
  free(workspace);
  free(labels);
  free(images);
  return 0;
}
