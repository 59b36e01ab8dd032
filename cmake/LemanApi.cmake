# libleman.so: room api as a shared library. It stays when it is unloaded: threads of its own go on.
add_library(leman_library SHARED $<TARGET_OBJECTS:leman_api>)
set_target_properties(leman_library PROPERTIES OUTPUT_NAME leman LINKER_LANGUAGE CXX
                                               LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/python/lib)
target_link_libraries(leman_library PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
target_link_options(leman_library PRIVATE -Wl,-z,nodelete)
if(LEMAN_SANITIZE)
  target_link_options(leman_library PRIVATE -fsanitize=${LEMAN_SANITIZE})
else()
  target_link_options(leman_library PRIVATE -Wl,-z,defs)
endif()
if(LEMAN_BUILD_PYTHON)
  install(TARGETS leman_library LIBRARY DESTINATION leman/lib)
endif()
