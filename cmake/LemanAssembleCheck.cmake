# leman_assemble_check: the tool behind tests/python/assemble.
if(LEMAN_BUILD_TESTS)
  add_executable(leman_assemble_check ${CMAKE_CURRENT_SOURCE_DIR}/tests/python/assemble/assemble_check.cc)
  target_link_libraries(leman_assemble_check PRIVATE leman_assemble)
  leman_warnings(leman_assemble_check PRIVATE)
endif()
