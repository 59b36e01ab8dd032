// How an argument is given to the function.
#pragma once

namespace leman::python {

enum class ArgumentForm {
  kPlain,    ///< As pyarrow's to_pylist() gives it.
  kNdarray,  ///< A list as a numpy array of its own memory; nulls inside as pyarrow's to_numpy() has them.
};

}  // namespace leman::python
