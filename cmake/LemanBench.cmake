# The benchmarks of the engine itself, bench/engine/*.cc; built with the tests, so that they stay up to date.
function(leman_bench name)
  if(NOT LEMAN_BUILD_TESTS)
    return()
  endif()
  add_executable(${name} bench/engine/${name}.cc)
  target_link_libraries(${name} PRIVATE ${ARGN})
  leman_warnings(${name} PRIVATE)
endfunction()

leman_bench(schedule_bench leman_plan leman_schedule)
leman_bench(coordinator_bench leman_job)
