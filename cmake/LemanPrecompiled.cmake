# leman_precompile(KIND TARGET HEADER...): the headers that most sources include, compiled once for all targets of a kind, which must
# have the same compile options. Off unless asked for: it takes a seventh of a full build's time, and a source that lacks an include
# does not show it. Not for ccache, which then needs settings of its own, nor for clang-tidy.
option(LEMAN_PRECOMPILE_HEADERS "Compile the common headers once" OFF)

function(leman_precompile kind target)
  if(NOT LEMAN_PRECOMPILE_HEADERS)
    return()
  endif()
  # From a precompiled header g++ 12 warns as if it were no system header: falsely, in std::string (GCC bug 105651); builds without still check.
  target_compile_options(${target} PRIVATE -Wno-stringop-overflow -Wno-array-bounds)
  get_property(first GLOBAL PROPERTY leman_precompiled_${kind})
  if(first)
    target_precompile_headers(${target} REUSE_FROM ${first})
  else()
    target_precompile_headers(${target} PRIVATE ${ARGN})
    set_property(GLOBAL PROPERTY leman_precompiled_${kind} ${target})
  endif()
endfunction()
