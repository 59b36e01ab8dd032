# find_package(leman), found with -Dleman_DIR="$(leman --cmake-dir)":
#
#   leman::leman              the C++ API, leman/leman.h and libleman.so
#   leman::udf                the headers of native UDFs, leman/udf.h
#   leman_add_udf_library()   a library of native UDFs
get_filename_component(_leman_package "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(_leman_include "${_leman_package}/include")
if(NOT EXISTS "${_leman_package}/__init__.py")
  # In a checkout of the sources.
  get_filename_component(_leman_package "${CMAKE_CURRENT_LIST_DIR}/../../python/leman" ABSOLUTE)
  get_filename_component(_leman_include "${CMAKE_CURRENT_LIST_DIR}/../../include" ABSOLUTE)
endif()

if(NOT TARGET leman::udf)
  add_library(leman::udf INTERFACE IMPORTED)
  set_target_properties(leman::udf PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_leman_include}"
                                              INTERFACE_COMPILE_FEATURES cxx_std_20)
endif()

# It finds its Python environment by where it lies, so programs are linked to it there (CMake does that by an RPATH).
if(NOT TARGET leman::leman AND EXISTS "${_leman_package}/lib/libleman.so")
  add_library(leman::leman SHARED IMPORTED)
  set_target_properties(leman::leman PROPERTIES IMPORTED_LOCATION "${_leman_package}/lib/libleman.so"
                                                IMPORTED_SONAME libleman.so
                                                INTERFACE_INCLUDE_DIRECTORIES "${_leman_include}"
                                                INTERFACE_COMPILE_FEATURES cxx_std_17)
endif()

# leman_add_udf_library(NAME source...): a shared library that workers load.
function(leman_add_udf_library name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE leman::udf)
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()
