# Libraries of native UDFs for the tests of room udf: one that is right, and ones that break the ABI.
function(leman_test_library name source)
  add_library(${name} MODULE ${CMAKE_CURRENT_SOURCE_DIR}/tests/native/${source})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/include)
  target_compile_definitions(${name} PRIVATE ${ARGN})
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/native_tests)
  leman_warnings(${name} PRIVATE)
endfunction()

if(LEMAN_BUILD_TESTS)
  leman_test_library(sample_udfs sample_udfs.cc)
  leman_test_library(broken_version broken_udfs.cc BROKEN_VERSION)
  leman_test_library(broken_name broken_udfs.cc BROKEN_NAME)
  leman_test_library(broken_result broken_udfs.cc BROKEN_RESULT)
  target_compile_definitions(leman_udf_test PRIVATE LEMAN_NATIVE_TESTS="${CMAKE_BINARY_DIR}/native_tests")
  add_dependencies(leman_udf_test sample_udfs broken_version broken_name broken_result)
endif()

if(LEMAN_BUILD_TESTS)
  # `make bench-native`: rows a second of a native function.
  add_executable(leman_native_bench ${CMAKE_CURRENT_SOURCE_DIR}/bench/native_apply.cc)
  target_link_libraries(leman_native_bench PRIVATE leman_udf)
  leman_warnings(leman_native_bench PRIVATE)
endif()
