/* The C ABI of native UDFs, version 1: docs/formats/native_udf_abi.md. Usable from C and from any language that speaks
 * C. */
#ifndef LEMAN_UDF_ABI_H_
#define LEMAN_UDF_ABI_H_

#include <stdint.h>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

#ifdef __cplusplus
extern "C" {
#endif
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
#ifdef __cplusplus
}
#endif
#endif /* ARROW_C_DATA_INTERFACE */

#ifdef __cplusplus
extern "C" {
#endif

#define LEMAN_UDF_ABI_VERSION 1u

/* Codes that the functions of a LemanUdf return. */
#define LEMAN_UDF_OK 0
#define LEMAN_UDF_ROW_FAILED 1
#define LEMAN_UDF_INVALID 2
#define LEMAN_UDF_NO_MEMORY 3

/* Answers of on_row_error. */
#define LEMAN_ROW_FAIL 0
#define LEMAN_ROW_NULL 1
#define LEMAN_ROW_RETRY 2

/* LemanUdf::flags. */
#define LEMAN_UDF_SHARED_STATE 1u

typedef struct LemanUdfError {
  int64_t row;        /* of the batch; -1: no row is to blame */
  char message[2048]; /* UTF-8, zero-terminated */
} LemanUdfError;

typedef struct LemanUdfBatch {
  const struct ArrowArray* inputs;
  const uint8_t* selected;
  struct ArrowArray* output;
  void* context;
  int (*on_row_error)(void* context, int64_t row, const char* message);
  int64_t null_inputs;
} LemanUdfBatch;

/* The rows of the batch that the function is called on right now. */
typedef struct LemanUdfPosition {
  int64_t first;
  int64_t rows;
} LemanUdfPosition;

typedef struct LemanUdf {
  uint64_t size_bytes;
  const char* name;
  const char* version;
  const char* summary;
  uint32_t flags;
  int (*describe)(const char* parameters, struct ArrowSchema* inputs, struct ArrowSchema* output, LemanUdfError* error);
  int (*init)(const char* parameters, const struct ArrowSchema* inputs, void** state, LemanUdfError* error);
  int (*apply)(void* state, LemanUdfBatch* batch, LemanUdfError* error);
  void (*free)(void* state);
  /* What follows is there where size_bytes says so. */
  int (*apply_watched)(void* state, LemanUdfBatch* batch, LemanUdfPosition* position, LemanUdfError* error);
} LemanUdf;

typedef struct LemanUdfLibrary {
  uint32_t abi_version;
  uint32_t udf_count;
  const LemanUdf* const* udfs;
} LemanUdfLibrary;

/* The one symbol that a library exports. */
#define LEMAN_UDF_ENTRY "leman_udf_library"
typedef const LemanUdfLibrary* (*LemanUdfEntry)(void);

#ifdef __cplusplus
}
#endif
#endif /* LEMAN_UDF_ABI_H_ */
