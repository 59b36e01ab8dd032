# The libFuzzer entry points, src/**/*_fuzzer.cc. Need clang++ as the compiler:
#
#   cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++-14 -DLEMAN_BUILD_FUZZERS=ON
option(LEMAN_BUILD_FUZZERS "Build the libFuzzer entry points (clang only)" OFF)
if(LEMAN_BUILD_FUZZERS AND NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "LEMAN_BUILD_FUZZERS needs clang: -DCMAKE_CXX_COMPILER=clang++-14")
endif()

# leman_fuzzer(NAME ENTRY ROOM-OR-FILE...): leman_NAME_fuzzer of src/ENTRY. The sources of the rooms are compiled anew so that they are
# instrumented, whatever the rest of the build does.
function(leman_fuzzer name entry)
  if(NOT LEMAN_BUILD_FUZZERS)
    return()
  endif()
  set(src ${CMAKE_CURRENT_SOURCE_DIR}/src)
  set(fuzzed)
  foreach(room ${ARGN})
    if(room MATCHES "\\.cc$")
      list(APPEND fuzzed ${src}/${room})
      continue()
    endif()
    file(GLOB sources CONFIGURE_DEPENDS ${src}/${room}/*.cc)
    list(APPEND fuzzed ${sources})
  endforeach()
  list(FILTER fuzzed EXCLUDE REGEX "_test\\.cc$|_fuzzer\\.cc$")
  add_executable(leman_${name}_fuzzer ${src}/${entry} ${fuzzed})
  target_include_directories(leman_${name}_fuzzer PRIVATE ${src} ${CMAKE_CURRENT_SOURCE_DIR}/include)
  target_compile_options(leman_${name}_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
  target_link_options(leman_${name}_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(leman_${name}_fuzzer PRIVATE Threads::Threads leman_nlohmann_json)
endfunction()

leman_fuzzer(footer assemble/footer_fuzzer.cc assemble base io model)
leman_fuzzer(message transport/message_fuzzer.cc transport base)
leman_fuzzer(checkpoint_key model/checkpoint_key_fuzzer.cc model base)
leman_fuzzer(upload_parts model/upload_parts_fuzzer.cc model base)
leman_fuzzer(lease job/lease_fuzzer.cc job/column_lease.cc job/process_identity.cc base io)

# leman_builtin_fuzzer(NAME FILE... [LIBRARIES LIBRARY...]): leman_NAME_fuzzer of native/builtin/NAME_fuzzer.cc.
function(leman_builtin_fuzzer name)
  if(NOT LEMAN_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 given "" "" "LIBRARIES")
  list(TRANSFORM given_UNPARSED_ARGUMENTS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/native/builtin/)
  add_executable(leman_${name}_fuzzer native/builtin/${name}_fuzzer.cc ${given_UNPARSED_ARGUMENTS})
  target_compile_options(leman_${name}_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all)
  target_link_options(leman_${name}_fuzzer PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(leman_${name}_fuzzer PRIVATE ${given_LIBRARIES})
endfunction()

leman_builtin_fuzzer(image_header image_header.cc)
leman_builtin_fuzzer(text text_scan.cc)
leman_builtin_fuzzer(image_decode image_decode.cc image_scale.cc image_header.cc LIBRARIES png jpeg webp)
