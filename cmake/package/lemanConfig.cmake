# find_package(leman): the headers of native UDFs, and leman_add_udf_library(). Found with -Dleman_DIR="$(leman --cmake-dir)".
get_filename_component(_leman_include "${CMAKE_CURRENT_LIST_DIR}/../include" ABSOLUTE)
if(NOT EXISTS "${_leman_include}/leman/udf.h")
  # In a checkout of the sources.
  get_filename_component(_leman_include "${CMAKE_CURRENT_LIST_DIR}/../../include" ABSOLUTE)
endif()
if(NOT TARGET leman::udf)
  add_library(leman::udf INTERFACE IMPORTED)
  set_target_properties(leman::udf PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_leman_include}"
                                              INTERFACE_COMPILE_FEATURES cxx_std_20)
endif()

# leman_add_udf_library(NAME source...): a shared library that workers load.
function(leman_add_udf_library name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE leman::udf)
  set_target_properties(${name} PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()
