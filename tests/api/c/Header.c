/* Header.c - quern.h is C89, C99 and C++ by itself: compiled as each. */
#include "quern.h"
#include "quern/model_abi.h"

typedef char sizes_come_first[offsetof(quern_load_options, struct_size) == 0 &&
                                      offsetof(quern_compile_options, struct_size) == 0 &&
                                      offsetof(quern_session_options, struct_size) == 0
                                  ? 1
                                  : -1];

#ifdef __cplusplus
extern "C"
#endif
    quern_status
    quern_header_is_usable(void);

quern_status quern_header_is_usable(void) {
  sizes_come_first dummy;
  (void)sizeof dummy;
  return QUERN_STATUS_OK;
}
