/*===- quern/model_abi.h - models compiled ahead of time ---------------------===
 *
 * The contract between `quern compile` and programs that use what it writes.
 * C89 (with <stdint.h>) and C++; each generated header contains a copy, so that
 * a program needs neither Quern nor this file.
 *
 * A model compiled with the prefix `m` defines these functions; `m.h` declares
 * them and the sizes of all tensors as constants:
 *
 *   int m_cpu_ok(void);
 *     1 when this CPU and operating system can run the model, else 0. Safe on
 *     every x86-64 CPU.
 *   int m_run(const void *const *inputs, void *const *outputs, void *workspace);
 *     Runs the model in the calling thread. inputs[i] and outputs[i] are dense
 *     row-major tensors, which must not overlap each other or the workspace; but
 *     an output may begin where the input that quern_model_port::updates names
 *     does: it is that input, changed in its place, or continued behind it.
 *     The caller owns all memory; the workspace holds M_WORKSPACE_BYTES bytes,
 *     starts at a multiple of QUERN_MODEL_WORKSPACE_ALIGNMENT and needs no
 *     initialisation. Runs with different workspaces may overlap in time.
 *     Nothing is allocated, unless reference kernels are part of the model, and
 *     the floating-point mode is restored at the end; while running, subnormal
 *     floats count as zero.
 *     Returns a quern_model_status; what the outputs hold after an error is of no
 *     use.
 *   int m_run_parallel(inputs, outputs, workspace, parallel_for, context);
 *     The same, with the larger steps divided by the caller: with threads of
 *     its own. The result has the same bits, and so has the status. A null
 *     `parallel_for` means m_run. For n workers that run at the same time the
 *     workspace holds M_WORKSPACE_BYTES + (n - 1) * M_WORKER_BYTES bytes.
 *   const quern_model_info *m_info(void);
 *     What the header says, for programs that load models at run time.
 *
 * A model compiled for several sizes of its inputs (`--dim N=1,8,32`) takes them in
 * front, in the order of M_SIZE_0_NAME, M_SIZE_1_NAME...:
 *
 *   int m_run(const int64_t *sizes, inputs, outputs, workspace);
 *   int m_run_parallel(sizes, inputs, outputs, workspace, parallel_for, context);
 *     QUERN_MODEL_UNLISTED_SIZES when it was not compiled for them. The tensors have
 *     the sizes of quern_model_info::plans; the numbers of bytes in the header are
 *     those of the largest, and the workspace is enough for all.
 *
 * A model compiled with --weights=file has its weights in a file, and one more
 * function:
 *
 *   int m_use_weights(const void *data, int64_t bytes);
 *     Before the first run: `data` is the whole file in memory, at a multiple of
 *     64, of M_WEIGHTS_BYTES bytes, which stay there while the model runs. All of
 *     them are read, to make sure that they are the very weights that the model
 *     was compiled with: else QUERN_MODEL_WRONG_WEIGHTS, and nothing changes.
 *
 * A model with nodes that draw random numbers has one more function, too:
 *
 *   int m_use_random(quern_random_fn random, void *context);
 *     Such nodes take their numbers from `random` from now on; null: from a
 *     generator in libquern_runtime.a, as without this call, which gives each
 *     process the same numbers. All models of a program that are linked with one
 *     copy of that archive share it. Not while a model runs.
 *
 *===------------------------------------------------------------------------===*/
#ifndef QUERN_MODEL_ABI_H
#define QUERN_MODEL_ABI_H

#include <stdint.h>

#define QUERN_MODEL_ABI_VERSION 6
#define QUERN_MODEL_WORKSPACE_ALIGNMENT 64

#ifdef __cplusplus
extern "C" {
#endif

/* What the run functions return. */
enum quern_model_status {
  QUERN_MODEL_OK = 0,
  /* `inputs`, `outputs`, one of their entries or `workspace` is null although
   * bytes are needed there. */
  QUERN_MODEL_NULL_ARGUMENT = 1,
  /* The workspace does not start at a multiple of its alignment. */
  QUERN_MODEL_MISALIGNED_WORKSPACE = 2,
  /* The CPU or operating system lacks instructions that the model was compiled
   * for. */
  QUERN_MODEL_UNSUPPORTED_CPU = 3,
  /* The model was not compiled for these sizes. */
  QUERN_MODEL_UNLISTED_SIZES = 4,
  /* The model has its weights in a file, and m_use_weights was not given it. */
  QUERN_MODEL_NO_WEIGHTS = 5,
  /* What m_use_weights was given is not the file of this model, or lies at no
   * multiple of 64. */
  QUERN_MODEL_WRONG_WEIGHTS = 6,
  /* Above this number: the values of the inputs cannot be computed with. */
  QUERN_MODEL_REFUSED = 256,
  /* An index, among the inputs or computed from them, is out of range. */
  QUERN_MODEL_INDEX_OUT_OF_RANGE = 257,
  /* A branch was taken in which an operator cannot take operands of these sizes. */
  QUERN_MODEL_BROKEN_BRANCH = 512,
  /* Loops took more iterations, all together, than the model was compiled for. */
  QUERN_MODEL_TOO_MANY_ITERATIONS = 513,
  /* A reference kernel, of libquern_runtime.a, cannot compute with what it was
   * given. */
  QUERN_MODEL_FAILED_STEP = 514,
  /* There is not the memory that a reference kernel asks for. */
  QUERN_MODEL_OUT_OF_MEMORY = 515
};

/* The tasks [begin, end) of a step, done by worker `worker`, which is the number
 * of a part of the workspace: calls that run at the same time have different
 * numbers, from 0 up. */
typedef void (*quern_task_fn)(void *closure, int32_t worker, int64_t begin, int64_t end);

/* Calls `task(closure, worker, begin, end)`, in any threads and order, with
 * ranges that cover [0, tasks) without overlap, and returns when all calls have.
 * A range below `grain` tasks is not worth a thread. */
typedef void (*quern_parallel_for_fn)(void *context, int64_t tasks, int64_t grain,
                                      quern_task_fn task, void *closure);

/* Called by each node that draws, each time, and by threads at the same time: stores two
 * numbers, which decide all that the node draws. A pair that comes again gives the same. */
typedef void (*quern_random_fn)(void *context, uint64_t *seed, uint64_t *number);

/* An input or output. */
typedef struct quern_model_port {
  const char *name;
  const int64_t *dims; /* `rank` sizes; -1 where the model has several */
  int64_t bytes;       /* of the largest */
  int32_t rank;
  int32_t dtype; /* a value of onnx.TensorProto.DataType: 1 is float32, 7 int64 */
  /* What the sizes of -1 are called, as in "N" or "past + seq"; null for others, and
   * where there is no name. Null when there is no -1. */
  const char *const *dim_names;
  /* Of an output: the number of the input (a cache) in whose memory it may be made;
   * -1 when there is none. Only some elements are written there then, or those behind the
   * input's. */
  int32_t updates;
} quern_model_port;

/* Sizes that a model was compiled for. */
typedef struct quern_model_plan {
  const int64_t *sizes; /* `size_count` */
  const quern_model_port *inputs;
  const quern_model_port *outputs;
} quern_model_plan;

typedef struct quern_model_info {
  int32_t abi_version; /* QUERN_MODEL_ABI_VERSION of the compiler */
  int32_t input_count;
  int32_t output_count;
  int32_t workspace_alignment;
  int64_t workspace_bytes; /* with one worker */
  int64_t worker_bytes;    /* more for each further worker; often 0 */
  const quern_model_port *inputs;
  const quern_model_port *outputs;
  const char *name;       /* of the model */
  const char *target_cpu; /* LLVM's name of the CPU compiled for */
  /* How many sizes the run functions take; 0 when all are fixed. */
  int32_t size_count;
  /* The combinations of sizes compiled for: those that the last list of sizes has,
   * with the first of all others, come first; 1 when all are fixed. */
  int32_t plan_count;
  const char *const *size_names;
  const quern_model_plan *plans;
  int64_t weights_bytes; /* of the file for m_use_weights; 0 without one */
  /* What products and convolutions of float32 were asked to be computed in: "f32"; "bf16",
   * operands rounded once and sums in float32; or "auto", some of them in bf16. */
  const char *precision;
  /* Of "auto" what was chosen and measured, as JSON; else "". */
  const char *precision_choice;
} quern_model_info;

#ifdef __cplusplus
}
#endif

#endif
