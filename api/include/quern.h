/*===- quern.h - Quern for C -------------------------------------------------===
 *
 * The library for C (C89 with <stddef.h> and <stdint.h>) and whatever calls C. A model is
 * loaded, compiled to an executable, and run by sessions:
 *
 *   quern_model *model = NULL;
 *   if (quern_model_load("m.onnx", NULL, &model) != QUERN_STATUS_OK)
 *     puts(quern_last_error());
 *
 * Errors. Every function that can fail returns a quern_status; quern_last_error() says more.
 * Null pointers, wrong sizes, and objects that have been released (or are something else)
 * are QUERN_STATUS_USAGE; nothing is written to results then. No exception leaves a function
 * and none aborts.
 *
 * Ownership. What a function makes belongs to the caller, who releases it; releasing NULL
 * does nothing. Objects made of others do not need these any more: a model may be released
 * before its executables, these before their sessions. Text and arrays that a
 * function shows belong to the object that was asked, and live as long.
 *
 * Threads. Models, executables and values may be used by any number of threads at once; a
 * session by one at a time (a run while another one is on is QUERN_STATUS_USAGE), but for
 * quern_session_cancel. An object must not be released while another thread uses it.
 *
 * Options are structs that begin with their size: zero them, set `struct_size` to sizeof, then
 * what is wanted; 0 and NULL are defaults, and NULL for all options is, too. A program
 * compiled with an older header so works with a newer library.
 *
 *===------------------------------------------------------------------------===*/
#ifndef QUERN_H
#define QUERN_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define QUERN_API __attribute__((visibility("default")))
#else
#define QUERN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*===- Errors ---------------------------------------------------------------===*/

/* What went wrong: the exit codes of the program quern. */
typedef int32_t quern_status;
enum {
  QUERN_STATUS_OK = 0,
  QUERN_STATUS_INTERNAL = 1,
  QUERN_STATUS_USAGE = 2,
  QUERN_STATUS_INVALID_MODEL = 3,
  QUERN_STATUS_UNSUPPORTED = 4,
  QUERN_STATUS_ACCURACY_MISMATCH = 5,
  QUERN_STATUS_TOO_SLOW = 6,
  QUERN_STATUS_INCOMPATIBLE = 7,
  QUERN_STATUS_INVALID_INPUT = 8,
  QUERN_STATUS_RESOURCE_LIMIT = 9,
  QUERN_STATUS_IO = 10,
  QUERN_STATUS_CANCELLED = 130
};

/* "invalid model" and the like; "unknown status" for other numbers. Never NULL. */
QUERN_API const char *quern_status_name(quern_status status);
/* What the last call in this thread that failed had to say; "" when none has. It lives until
 * the next call in this thread that fails. */
QUERN_API const char *quern_last_error(void);
/* "0.1.0". */
QUERN_API const char *quern_version(void);

/*===- Objects --------------------------------------------------------------===*/

typedef struct quern_model quern_model;           /* a model as it was loaded */
typedef struct quern_executable quern_executable; /* made ready to run, immutable */
typedef struct quern_session quern_session;       /* runs it, with memory of its own */
typedef struct quern_value quern_value;           /* a tensor, sequence, optional or map */
typedef struct quern_text quern_text;             /* a result that is text, or bytes */

/* The text, which a zero byte follows; `size`, unless NULL, gets its bytes without that. */
QUERN_API quern_status quern_text_get(const quern_text *text, const char **chars, size_t *size);
QUERN_API void quern_text_release(quern_text *text);

/*===- Inputs and outputs of models -----------------------------------------===*/

/* What a value is. */
enum { QUERN_TENSOR = 0, QUERN_SEQUENCE = 1, QUERN_OPTIONAL = 2, QUERN_MAP = 3 };

/* A size: `size` is -1 when it is not known, and `symbol` then may name it, or be NULL. */
typedef struct quern_dim {
  int64_t size;
  const char *symbol;
} quern_dim;

typedef struct quern_port {
  const char *name;
  const char *type;      /* for people: "float32 Nx3x224x224", "sequence of ..." */
  int32_t kind;          /* QUERN_TENSOR, ... */
  int32_t dtype;         /* of a tensor, a value of onnx.TensorProto.DataType: 1 is float32 */
  int32_t rank;          /* of a tensor; -1 when none is declared */
  const quern_dim *dims; /* `rank` sizes */
} quern_port;

/* Where the sizes of an input are given: dims of tensors, NULL and 0 for other values. */
typedef struct quern_shape {
  const int64_t *dims;
  size_t rank;
} quern_shape;

/*===- Models ---------------------------------------------------------------===*/

typedef struct quern_input_shape { /* of the input with this name */
  const char *name;
  quern_shape shape;
} quern_input_shape;

typedef struct quern_dim_size { /* of a symbolic dimension */
  const char *symbol;
  int64_t size;
} quern_dim_size;

/* Bounds of a call; 0: the default. What exceeds one is QUERN_STATUS_RESOURCE_LIMIT. */
typedef struct quern_limits {
  double seconds; /* no limit by default */
  /* Of the activations of a run, which are the values between its nodes, its results and what
   * kernels need meanwhile, but not weights, code and the caller's tensors: by default three
   * quarters of the memory there is. */
  int64_t memory_bytes;
  int64_t max_tensor_bytes; /* of one tensor */
  int64_t max_model_bytes;  /* of a model file */
  int64_t max_nodes;
} quern_limits;

typedef struct quern_load_options {
  size_t struct_size;
  quern_limits limits;
  const quern_input_shape *shapes; /* sizes for inputs, */
  size_t shape_count;
  const quern_dim_size *dims; /* and for symbolic dimensions */
  size_t dim_count;
  const char *name; /* quern_model_load_bytes: stands for the file in messages */
  /* 1: inputs that outputs continue along some dimension (past keys and values, and the present
   * ones), and these outputs, have that dimension first: [length, batch, heads, size] for [batch,
   * heads, length, size]. See quern_session_run. */
  int32_t growing_caches;
} quern_load_options;

/* Loads an ONNX file, which must not shrink while the model, or what is made of it, lives. */
QUERN_API quern_status quern_model_load(const char *path, const quern_load_options *options,
                                        quern_model **model);
/* The same of bytes in memory, which are copied. External data is refused. */
QUERN_API quern_status quern_model_load_bytes(const void *bytes, size_t size,
                                              const quern_load_options *options,
                                              quern_model **model);
QUERN_API void quern_model_release(quern_model *model);
QUERN_API quern_status quern_model_port_counts(const quern_model *model, size_t *inputs,
                                               size_t *outputs);
QUERN_API quern_status quern_model_input(const quern_model *model, size_t index, quern_port *port);
QUERN_API quern_status quern_model_output(const quern_model *model, size_t index, quern_port *port);
/* Random values for all inputs, `count` of them; sizes that are not known are 1. */
QUERN_API quern_status quern_model_sample_inputs(const quern_model *model, uint64_t seed,
                                                 quern_value **values, size_t count);

/* What a file holds, supported or not (a library made by quern_model_compile_to_file, too),
 * as the JSON object of quern inspect. */
QUERN_API quern_status quern_inspect_file(const char *path, const quern_limits *limits,
                                          quern_text **json);
/* All that keeps a model file from being loaded, as JSON: {"unsupported_ops": [...],
 * "problems": [...]}. */
QUERN_API quern_status quern_find_problems(const char *path, const quern_limits *limits,
                                           quern_text **json);
/* The processor, what this process may use of the machine, and the versions of libraries,
 * as JSON. */
QUERN_API quern_status quern_describe_host(quern_text **json);
/* The float32 multiply-add rate of one core, measured now, with code for `target_cpu` as
 * quern_compile_options has it; NULL is this CPU. */
QUERN_API quern_status quern_measure_peak(const char *target_cpu, double *gflops);

/*===- Compiling ------------------------------------------------------------===*/

enum { QUERN_BACKEND_NATIVE = 0, QUERN_BACKEND_INTERPRETER = 1 };
enum {
  QUERN_OPTIMIZE_DEFAULT = 0, /* as QUERN_OPTIMIZE_3 */
  QUERN_OPTIMIZE_0 = 1,
  QUERN_OPTIMIZE_1 = 2,
  QUERN_OPTIMIZE_2 = 3,
  QUERN_OPTIMIZE_3 = 4
};

typedef struct quern_compile_options {
  size_t struct_size;
  quern_limits limits;
  int32_t backend;
  int32_t optimize;
  int32_t threads;         /* of the compiler, and those that a run is divided for; 0: all */
  const char *target_cpu;  /* "host", "baseline" or LLVM's name of a CPU */
  const char *dump_folder; /* for the graph after each phase */
  const char *target;      /* of files: "aarch64-linux-gnu"; this machine by default */
  int32_t no_kernel_cache; /* compiled kernels are not kept for other processes, nor found */
  /* What products and convolutions of float32 are computed in: "f32" (NULL), "bf16", or "auto":
   * bf16 where it pays, as far as max_error allows. */
  const char *precision;
  /* Of "auto": the most that an output may be off by, as a share of its largest magnitude; 0: 0.01.
   * It is measured on `samples`, a value for each input; random numbers when there are none. */
  double max_error;
  const struct quern_value *const *samples;
  size_t sample_count;
  /* What constant weights of matrix products are kept as: "given" (NULL), "int8" or "int4". */
  const char *weights;
  const char *winograd; /* convolutions by Winograd's algorithm: "auto" (NULL) or "off" */
  /* Not 0: ops are computed in the ways that measured best on this machine, by what the cache
   * folder keeps. Above 0: what is not known is measured, on `samples`, for about so many seconds;
   * below 0 nothing is measured. */
  double tune_seconds;
} quern_compile_options;

typedef struct quern_file_options { /* of quern_model_compile_to_file */
  size_t struct_size;
  const char *header_path; /* a C header; none by default */
  const char *prefix;      /* of C symbols; by default from the file's name */
  /* CPUs that get code of their own in one file, of which a machine runs the best that it can;
   * none: target_cpu of quern_compile_options. */
  const char *const *target_cpus;
  size_t target_cpu_count;
  int64_t max_iterations; /* of all loops in one run, for nothing else ends them; 0: 10^8 */
  /* libquern_runtime.a: libraries with steps that need reference kernels are linked with it,
   * and refused without. */
  const char *runtime_archive;
  /* Dimensions of the inputs with the sizes they may have, "N=1,8,32" or "seq=16..512:16":
   * the file has a plan for each combination. For models loaded without sizes for them. */
  const char *const *listed_sizes;
  size_t listed_size_count;
  int32_t weights_in_file; /* 1: to a file beside this one, with the suffix .weights */
  const char *main_path;   /* a C program that runs the file on tensors in files */
  uint64_t seed;           /* of the inputs in a .c-test */
} quern_file_options;

QUERN_API quern_status quern_model_compile(const quern_model *model,
                                           const quern_compile_options *options,
                                           quern_executable **executable);
/* Writes FILE.so, FILE.o or FILE.a with the interface of quern/model_abi.h; the code of them
 * to read, FILE.s or FILE.ll; or FOLDER.c-test, an object file with C programs that test it
 * against the interpreter and run it. */
QUERN_API quern_status quern_model_compile_to_file(const quern_model *model, const char *path,
                                                   const quern_compile_options *options,
                                                   const quern_file_options *file);
/* The graph or code after a phase: "imported", "simplified", "laid-out", "fused", "kernels",
 * "llvm", "object". */
QUERN_API quern_status quern_model_phase_text(const quern_model *model, const char *phase,
                                              const quern_compile_options *options,
                                              quern_text **text);
/* Which steps run as native code, and why others do not, as JSON. `shapes`, one for each
 * input, or NULL: then what holds for all sizes. */
QUERN_API quern_status quern_model_check(const quern_model *model, const quern_shape *shapes,
                                         size_t count, const quern_compile_options *options,
                                         quern_text **json);

/* Loads a library that quern_model_compile_to_file has written: QUERN_STATUS_INCOMPATIBLE
 * when this CPU cannot run it, or when another version of Quern made it. Its code is
 * trusted as that of any library is. */
QUERN_API quern_status quern_executable_load(const char *path, quern_executable **executable);
QUERN_API void quern_executable_release(quern_executable *executable);
QUERN_API quern_status quern_executable_port_counts(const quern_executable *executable,
                                                    size_t *inputs, size_t *outputs);
QUERN_API quern_status quern_executable_input(const quern_executable *executable, size_t index,
                                              quern_port *port);
QUERN_API quern_status quern_executable_output(const quern_executable *executable, size_t index,
                                               quern_port *port);
/* Compiles now what runs on inputs of these sizes would, with branches and bodies of loops whose
 * sizes follow from these. */
QUERN_API quern_status quern_executable_plan(const quern_executable *executable,
                                             const quern_shape *shapes, size_t count,
                                             const quern_limits *limits);

/*===- Values ---------------------------------------------------------------===*/

typedef struct quern_tensor_view {
  int32_t dtype;
  size_t rank;
  const int64_t *dims;
  void *data; /* NULL for strings: ask quern_value_string */
  size_t bytes;
  int64_t elements;
} quern_tensor_view;

/* A tensor on memory of the caller's, which is neither copied nor freed and must stay while
 * the value or a copy of it lives: dense, row-major, `bytes` long, aligned to its elements.
 * Types below 8 bits have a byte for each element. Not for strings. */
QUERN_API quern_status quern_value_borrow(int32_t dtype, const int64_t *dims, size_t rank,
                                          void *data, size_t bytes, quern_value **value);
/* A tensor with memory of its own, of zeros. */
QUERN_API quern_status quern_value_tensor(int32_t dtype, const int64_t *dims, size_t rank,
                                          quern_value **value);
/* A tensor of strings, which are copied: as many as the dims say, each ended by a zero. */
QUERN_API quern_status quern_value_strings(const char *const *strings, size_t count,
                                           const int64_t *dims, size_t rank, quern_value **value);
/* A sequence of copies of `count` values (elements are shared). `dtype`: of the tensors in
 * one without values. */
QUERN_API quern_status quern_value_sequence(const quern_value *const *values, size_t count,
                                            int32_t dtype, quern_value **value);
/* An optional with this content; with NULL an empty one, for tensors of type `dtype`. */
QUERN_API quern_status quern_value_optional(const quern_value *content, int32_t dtype,
                                            quern_value **value);
/* A map: `keys` is a tensor of int64 or strings with `count` elements, at least one. */
QUERN_API quern_status quern_value_map(const quern_value *keys, const quern_value *const *values,
                                       size_t count, quern_value **value);
/* Reads a .pb file with one tensor, as ONNX's test data has them. */
QUERN_API quern_status quern_value_read(const char *path, const quern_limits *limits,
                                        quern_value **value);
/* The same of a value of any kind, for an input of a model: the file does not tell its type. */
QUERN_API quern_status quern_value_read_for(const quern_model *model, size_t input,
                                            const char *path, const quern_limits *limits,
                                            quern_value **value);
/* The bytes of such a file, for a value of any kind. */
QUERN_API quern_status quern_value_serialize(const quern_value *value, const char *name,
                                             quern_text **bytes);
QUERN_API void quern_value_release(quern_value *value);

/* QUERN_TENSOR, ... */
QUERN_API quern_status quern_value_kind(const quern_value *value, int32_t *kind);
/* Where a tensor lies. Its elements may be written unless the value is in use. */
QUERN_API quern_status quern_value_view(const quern_value *value, quern_tensor_view *view);
/* A string of a tensor of strings; `size`, unless NULL, gets its bytes. */
QUERN_API quern_status quern_value_string(const quern_value *value, size_t index,
                                          const char **chars, size_t *size);
/* The number of values in a sequence, an optional (0 or 1) or a map. */
QUERN_API quern_status quern_value_count(const quern_value *value, size_t *count);
/* One of them, a copy that shares its elements. */
QUERN_API quern_status quern_value_get(const quern_value *value, size_t index, quern_value **part);
/* The keys of a map, as a tensor. */
QUERN_API quern_status quern_value_keys(const quern_value *value, quern_value **keys);

/*===- Running --------------------------------------------------------------===*/

typedef struct quern_session_options {
  size_t struct_size;
  quern_limits limits;    /* `seconds` counts from now for all runs: see quern_session_set_time */
  int32_t threads;        /* the caller's included; 0: all CPUs that this process may use */
  int32_t keep_subnormal; /* 1: do not take subnormal numbers for zero, which is slow */
  int32_t profile;        /* 1: time every step */
} quern_session_options;

QUERN_API quern_status quern_session_create(const quern_executable *executable,
                                            const quern_session_options *options,
                                            quern_session **session);
QUERN_API void quern_session_release(quern_session *session);
/* Runs on one value for each input. Where outputs[i] is NULL a new value is stored; a tensor
 * there is written in place: it has the output's type and sizes and shares no memory with
 * other inputs and outputs. But one that is an input with some elements replaced, or with more
 * behind it (see growing_caches), may begin where that input does: then only these are written.
 * An output whose size only the run tells, or that is no tensor, is
 * given to outputs[i] in place of what it held. After an error no new values are stored. */
QUERN_API quern_status quern_session_run(quern_session *session, const quern_value *const *inputs,
                                         size_t input_count, quern_value **outputs,
                                         size_t output_count);
/* Makes the current run (or the next one) end soon with QUERN_STATUS_CANCELLED. From any
 * thread, and from signal handlers. */
QUERN_API quern_status quern_session_cancel(quern_session *session);
/* All runs must be done this many seconds from now; 0 takes the limit away. */
QUERN_API quern_status quern_session_set_time(quern_session *session, double seconds);
QUERN_API quern_status quern_session_threads(const quern_session *session, int32_t *threads);
/* The times of all steps so far as JSON, [{"nodes": ..., "ms": ...}, ...]; to forget them. */
QUERN_API quern_status quern_session_profile(const quern_session *session, quern_text **json);
QUERN_API quern_status quern_session_clear_profile(quern_session *session);
/* Starts the generator of ops that draw at random anew, for the whole process. */
QUERN_API void quern_seed_random_ops(uint64_t seed);

/*===- Comparing and measuring ----------------------------------------------===*/

typedef struct quern_output_difference {
  double max_absolute;
  double max_relative;
  int64_t mismatches; /* elements beyond the tolerance; -1: of other sizes or types */
  int32_t passes;
} quern_output_difference;

typedef struct quern_compare_options {
  size_t struct_size;
  const quern_compile_options *compile;
  const quern_session_options *session;
  double relative; /* the tolerance: both 0 is 1e-3 and 1e-5, and for a lower
                    precision 1 % of the largest magnitude of an output */
  double absolute;
  double seconds; /* how long to measure: 2 by default; below 0: one run of each */
  uint64_t seed;  /* of ops that draw at random */
} quern_compare_options;

typedef struct quern_comparison {
  int32_t passes;
  int32_t threads;
  double compile_ms;
  double interpreter_ms; /* medians of a run */
  double compiled_ms;
  double speedup;
} quern_comparison;

/* Runs a model interpreted and compiled, in turn. `differences`, unless NULL, has room for
 * `output_count`, the number of outputs. Outputs beyond the tolerance are no error: `passes`
 * is 0 then, and quern_last_error() names them. */
QUERN_API quern_status quern_compare(const quern_model *model, const quern_value *const *inputs,
                                     size_t input_count, const quern_compare_options *options,
                                     quern_comparison *comparison,
                                     quern_output_difference *differences, size_t output_count);

typedef struct quern_benchmark_options {
  size_t struct_size;
  double seconds; /* how long to measure: 3 by default */
  int64_t runs;   /* how many runs to measure instead */
  int64_t warmup; /* runs before measuring: 3 by default; below 0: none */
} quern_benchmark_options;

typedef struct quern_measurement { /* milliseconds */
  double first_run_ms;
  double min_ms;
  double mean_ms;
  double deviation_ms;
  double p50_ms;
  double p90_ms;
  double p99_ms;
  int64_t runs;
  int32_t threads;
  double peak_rss_mb; /* the most memory that the process has had */
} quern_measurement;

/* Runs a session again and again on the same inputs. */
QUERN_API quern_status quern_session_benchmark(quern_session *session,
                                               const quern_value *const *inputs, size_t input_count,
                                               const quern_benchmark_options *options,
                                               quern_measurement *measurement);

#ifdef __cplusplus
}
#endif

#endif
