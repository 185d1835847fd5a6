# The library: every src/**/*.cpp whose libraries are there, with llhttp folded in.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(llhttp MODULE REQUIRED)

file(GLOB_RECURSE sluice_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*.cpp")
list(REMOVE_ITEM sluice_sources ${sluice_codings_left_out} ${sluice_io_uring_left_out})

# llhttp in source form becomes part of the library. Every name of it gets a prefix, so that a program may link an
# llhttp of its own beside a static sluice; in a shared one they are hidden as well.
if(LLHTTP_SOURCES)
  set(sluice_llhttp_names "")
  foreach(source IN LISTS LLHTTP_SOURCES)
    file(READ "${source}" text)
    string(REGEX MATCHALL "llhttp_[A-Za-z0-9_]+" names "${text}")
    list(APPEND sluice_llhttp_names ${names})
    list(REMOVE_DUPLICATES sluice_llhttp_names)
  endforeach()
  list(SORT sluice_llhttp_names)
  list(TRANSFORM sluice_llhttp_names REPLACE "(.+)" "#define \\1 sluice_\\1\n")
  list(JOIN sluice_llhttp_names "" text)
  set(sluice_llhttp_header "${PROJECT_BINARY_DIR}/generated/llhttp_names.h")
  file(CONFIGURE OUTPUT "${sluice_llhttp_header}" CONTENT "${text}" @ONLY)
  set(sluice_llhttp_use
    -include "${sluice_llhttp_header}" -isystem "${LLHTTP_INCLUDE_DIR}" -DLLHTTP_STRICT_MODE=1)

  # Of version 8 it is known what it calls: that is compiled into it, see src/http/llhttp_unit.c.
  set(sluice_llhttp_sources ${LLHTTP_SOURCES})
  if(SLUICE_LLHTTP_UNIT AND LLHTTP_SOURCE_DIR AND llhttp_version MATCHES "^8\\.1\\.")
    set(sluice_llhttp_sources "${LLHTTP_SOURCE_DIR}/http.c" "${PROJECT_SOURCE_DIR}/src/http/llhttp_unit.c")
    list(APPEND sluice_llhttp_use -DSLUICE_LLHTTP_UNIT)
  endif()
  add_library(sluice_llhttp OBJECT ${sluice_llhttp_sources})
  target_include_directories(sluice_llhttp PRIVATE "${PROJECT_SOURCE_DIR}/src" ${LLHTTP_SOURCE_DIR})
  target_compile_options(sluice_llhttp PRIVATE
    ${sluice_llhttp_use} -O3 -w $<$<BOOL:${SLUICE_SSE42}>:-msse4.2> ${sluice_sanitize_flags})
  set_target_properties(sluice_llhttp PROPERTIES
    C_STANDARD 99 C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
endif()

set(sluice_hot_sources
  base/block_pool.cpp base/clock.cpp http/date.cpp
  http/fields.cpp http/head_guard.cpp http/head_rules.cpp http/head_writer.cpp http/parser.cpp http/target.cpp
  net/chain.cpp net/epoll_io.cpp net/loop_base.cpp net/socket_calls.cpp net/timers.cpp
  server/answers.cpp server/connection.cpp server/dispatch.cpp server/exchange.cpp server/loop_guard.cpp
  server/pressure.cpp server/response.cpp server/route_table.cpp server/server.cpp server/shard.cpp)

# A request passes through many short functions; GCC would leave the calls between them.
set(sluice_inline_options "$<$<CXX_COMPILER_ID:GNU>:--param=inline-unit-growth=300;--param=max-inline-insns-auto=100;\
--param=max-inline-insns-single=1000;--param=large-function-growth=1000>")

# sluice_library(NAME): one build of the library. Several may stand side by side (see tests/CMakeLists.txt). What every
# request runs through is compiled as one unit in a release build, or if sluice_as_unit is set.
function(sluice_library name)
  add_library(${name} ${ARGN} ${sluice_sources})
  target_compile_features(${name} PUBLIC cxx_std_23)
  target_include_directories(${name}
    PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
    PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${name} PUBLIC Threads::Threads PRIVATE ${sluice_coding_targets} ${sluice_io_uring_target})
  # Only this file asks which codings there are; each library's header is included by one other.
  set_source_files_properties("${PROJECT_SOURCE_DIR}/src/extra/coding.cpp" TARGET_DIRECTORY ${name} PROPERTIES
    COMPILE_DEFINITIONS "${sluice_coding_defines}")
  if(TARGET sluice_llhttp)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:sluice_llhttp>)
    # For http/parser.cpp alone; but a file with options of its own can't be part of a unit.
    if(CMAKE_BUILD_TYPE STREQUAL "Release" OR sluice_as_unit)
      target_compile_options(${name} PRIVATE ${sluice_llhttp_use})
    else()
      set_source_files_properties("${PROJECT_SOURCE_DIR}/src/http/parser.cpp" TARGET_DIRECTORY ${name} PROPERTIES
        COMPILE_OPTIONS "${sluice_llhttp_use}")
    endif()
  else()
    target_link_libraries(${name} PRIVATE ${LLHTTP_TARGET})
  endif()
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
    -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual $<$<BOOL:${SLUICE_WERROR}>:-Werror>)
  target_compile_definitions(${name} PRIVATE $<$<NOT:$<BOOL:${SLUICE_RAW_CALLS}>>:SLUICE_LIBC_CALLS>)
  if(sluice_sanitize_flags)
    target_compile_options(${name} PUBLIC "$<BUILD_INTERFACE:${sluice_sanitize_flags}>")
    target_link_options(${name} PUBLIC "$<BUILD_INTERFACE:${sluice_sanitize_flags}>")
  endif()
  # Position-independent code would else keep GCC from inlining what a program could replace at load time.
  target_compile_options(${name} PRIVATE -fno-semantic-interposition)
  set_target_properties(${name} PROPERTIES
    CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

  if(CMAKE_BUILD_TYPE STREQUAL "Release" OR sluice_as_unit)
    target_compile_options(${name} PRIVATE "${sluice_inline_options}")
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    list(TRANSFORM sluice_hot_sources PREPEND "${PROJECT_SOURCE_DIR}/src/" OUTPUT_VARIABLE hot)
    set_source_files_properties(${hot} TARGET_DIRECTORY ${name} PROPERTIES UNITY_GROUP hot)
  endif()

  get_target_property(kind ${name} TYPE)
  if(kind STREQUAL "SHARED_LIBRARY")
    # What the headers declare is exported, everything else stays inside.
    target_compile_definitions(${name} PUBLIC SLUICE_SHARED)
    target_link_options(${name} PRIVATE "LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/sluice.map")
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/sluice.map")
  endif()
endfunction()

sluice_library(sluice)
add_library(sluice::sluice ALIAS sluice)
if(SLUICE_PLANTED)
  target_compile_definitions(sluice PUBLIC "$<BUILD_INTERFACE:SLUICE_PLANTED>")
endif()

# Tests and benchmarks reach inside, where a shared library exports nothing: they link a static one.
if(SLUICE_BUILD_TESTS OR SLUICE_BUILD_BENCH)
  if(BUILD_SHARED_LIBS)
    sluice_library(sluice_inside STATIC EXCLUDE_FROM_ALL)
  else()
    add_library(sluice_inside ALIAS sluice)
  endif()
endif()
