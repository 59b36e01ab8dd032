# leman_footer_fuzzer: libFuzzer over the reader of Lance footers. Needs clang++ as the compiler.
option(LEMAN_BUILD_FUZZERS "Build the libFuzzer entry points (clang only)" OFF)
if(LEMAN_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "LEMAN_BUILD_FUZZERS needs clang: -DCMAKE_CXX_COMPILER=clang++-14")
  endif()
  # The sources are compiled anew so that they are instrumented, whatever the rest of the build does.
  file(GLOB fuzzed CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/assemble/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/src/base/*.cc
       ${CMAKE_CURRENT_SOURCE_DIR}/src/io/*.cc)
  list(FILTER fuzzed EXCLUDE REGEX "_test\\.cc$|_fuzzer\\.cc$")
  add_executable(leman_footer_fuzzer ${CMAKE_CURRENT_SOURCE_DIR}/src/assemble/footer_fuzzer.cc ${fuzzed})
  target_include_directories(leman_footer_fuzzer PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR}/include)
  target_compile_options(leman_footer_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
  target_link_options(leman_footer_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(leman_footer_fuzzer PRIVATE Threads::Threads)
endif()
