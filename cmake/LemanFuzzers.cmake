# The libFuzzer entry points, src/**/*_fuzzer.cc. Need clang++ as the compiler:
#
#   cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++-14 -DLEMAN_BUILD_FUZZERS=ON
option(LEMAN_BUILD_FUZZERS "Build the libFuzzer entry points (clang only)" OFF)
if(LEMAN_BUILD_FUZZERS AND NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "LEMAN_BUILD_FUZZERS needs clang: -DCMAKE_CXX_COMPILER=clang++-14")
endif()

# leman_fuzzer(NAME ENTRY ROOM...): leman_NAME_fuzzer of src/ENTRY. The sources of the rooms are compiled anew so that they are
# instrumented, whatever the rest of the build does.
function(leman_fuzzer name entry)
  if(NOT LEMAN_BUILD_FUZZERS)
    return()
  endif()
  set(src ${CMAKE_CURRENT_SOURCE_DIR}/src)
  set(fuzzed)
  foreach(room ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${src}/${room}/*.cc)
    list(APPEND fuzzed ${sources})
  endforeach()
  list(FILTER fuzzed EXCLUDE REGEX "_test\\.cc$|_fuzzer\\.cc$")
  add_executable(leman_${name}_fuzzer ${src}/${entry} ${fuzzed})
  target_include_directories(leman_${name}_fuzzer PRIVATE ${src} ${CMAKE_CURRENT_SOURCE_DIR}/include)
  target_compile_options(leman_${name}_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
  target_link_options(leman_${name}_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(leman_${name}_fuzzer PRIVATE Threads::Threads)
endfunction()

leman_fuzzer(footer assemble/footer_fuzzer.cc assemble base io)
leman_fuzzer(message transport/message_fuzzer.cc transport base)
leman_fuzzer(checkpoint_key model/checkpoint_key_fuzzer.cc model base)
if(LEMAN_BUILD_FUZZERS)
  set(builtin ${CMAKE_CURRENT_SOURCE_DIR}/native/builtin)
  add_executable(leman_image_header_fuzzer ${builtin}/image_header_fuzzer.cc ${builtin}/image_header.cc)
  target_compile_options(leman_image_header_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
  target_link_options(leman_image_header_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined)
endif()
