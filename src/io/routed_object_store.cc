#include "io/routed_object_store.h"

namespace leman {

Status RoutedObjectStore::Copy(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(CheckOneStore(from, to));
  return Of(from).Copy(from, to);
}

Status RoutedObjectStore::Rename(const std::string& from, const std::string& to) {
  LEMAN_RETURN_IF_ERROR(CheckOneStore(from, to));
  return Of(from).Rename(from, to);
}

Status RoutedObjectStore::CheckOneStore(const std::string& from, const std::string& to) {
  if (&Of(from) == &Of(to)) return Ok();
  return MakeError(ErrorKind::kUnsupported, from, " and ", to, " lie in different stores");
}

}  // namespace leman
