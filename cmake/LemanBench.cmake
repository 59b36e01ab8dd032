# The benchmarks of the engine itself, bench/engine/*.cc; not built unless asked for: cmake --build build --target NAME.
function(leman_bench name)
  add_executable(${name} EXCLUDE_FROM_ALL bench/engine/${name}.cc)
  target_link_libraries(${name} PRIVATE ${ARGN})
  leman_warnings(${name} PRIVATE)
endfunction()

leman_bench(schedule_bench leman_plan leman_schedule)
leman_bench(coordinator_bench leman_job)
