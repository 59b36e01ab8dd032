// Libraries that break the ABI, one a macro: -DBROKEN_VERSION, -DBROKEN_NAME, -DBROKEN_RESULT.
#include <leman/udf_abi.h>

#include <cstddef>

namespace {

int Describe(const char*, ArrowSchema* inputs, ArrowSchema* output, LemanUdfError*) {
  static ArrowSchema argument{
      "l", "x", nullptr, 2, 0, nullptr, nullptr, [](ArrowSchema* s) { s->release = nullptr; }, nullptr};
  static ArrowSchema* children[] = {&argument};
  *inputs = {"+s", "", nullptr, 0, 1, children, nullptr, [](ArrowSchema* s) { s->release = nullptr; }, nullptr};
  *output = {"u", "value", nullptr, 2, 0, nullptr, nullptr, [](ArrowSchema* s) { s->release = nullptr; }, nullptr};
  return LEMAN_UDF_OK;
}
int Init(const char*, const ArrowSchema*, void** state, LemanUdfError*) {
  *state = nullptr;
  return LEMAN_UDF_OK;
}
// Texts whose offsets fall.
int Apply(void*, LemanUdfBatch* batch, LemanUdfError*) {
  static const int32_t offsets[] = {0, 5, 2, 2};
  static const void* buffers[] = {nullptr, offsets, "abcdef"};
  *batch->output = {3, 0, 0, 3, 0, buffers, nullptr, nullptr, [](ArrowArray* a) { a->release = nullptr; }, nullptr};
  return LEMAN_UDF_OK;
}
void Free(void*) {}

#ifdef BROKEN_NAME
constexpr const char* kName = nullptr;
#else
constexpr const char* kName = "broken";
#endif
// As of a library from before apply_watched: what follows must not be looked at.
constexpr auto kSize = offsetof(LemanUdf, apply_watched);
int Never(void*, LemanUdfBatch*, LemanUdfPosition*, LemanUdfError*) { __builtin_trap(); }
const LemanUdf udf = {kSize, kName, nullptr, nullptr, 0, Describe, Init, Apply, Free, Never};
const LemanUdf* const udfs[] = {&udf};
#ifdef BROKEN_VERSION
const LemanUdfLibrary library = {99, 1, udfs};
#else
const LemanUdfLibrary library = {LEMAN_UDF_ABI_VERSION, 1, udfs};
#endif

}  // namespace

extern "C" __attribute__((visibility("default"))) const LemanUdfLibrary* leman_udf_library() { return &library; }
