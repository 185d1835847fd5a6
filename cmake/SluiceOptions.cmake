# What can be chosen, and what the machine must have. Every refusal is one plain sentence.

option(BUILD_SHARED_LIBS "Build libsluice.so in place of libsluice.a" OFF)
option(SLUICE_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(SLUICE_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(SLUICE_BUILD_BENCH "Build sluice-load, its library sluice::bench, and the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(SLUICE_INSTALL "Make the install target install sluice" ${PROJECT_IS_TOP_LEVEL})
option(SLUICE_WERROR "Treat warnings in sluice's own code as errors" OFF)
option(SLUICE_PLANTED "Compile the deliberate bugs into the library; only for the proof that the simulator finds them" OFF)
option(SLUICE_FUZZ "Build the fuzz targets in tests/fuzz, and no other tests (Clang only)" OFF)
set(SLUICE_FUZZ_SECONDS 10 CACHE STRING "How long a test of the preset fuzz tries each target")
option(SLUICE_TEST_PCH "Precompile GoogleTest's and the standard library's headers for the tests" OFF)
set(SLUICE_SANITIZE "none" CACHE STRING "Sanitizers: none | address,undefined | thread")
set_property(CACHE SLUICE_SANITIZE PROPERTY STRINGS "none" "address,undefined" "thread")

set(SLUICE_WITH_COMPRESSION "AUTO" CACHE STRING "Content codings: AUTO (with zlib if it is there) | ON | OFF")
set_property(CACHE SLUICE_WITH_COMPRESSION PROPERTY STRINGS "AUTO" "ON" "OFF")
set(SLUICE_IO_URING "AUTO" CACHE STRING "The io_uring backend: AUTO (with liburing if it is there) | ON | OFF")
set_property(CACHE SLUICE_IO_URING PROPERTY STRINGS "AUTO" "ON" "OFF")

set(sluice_sse42_default OFF)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  set(sluice_sse42_default ON)
endif()
option(SLUICE_LLHTTP_UNIT "Compile llhttp 8 from its sources as one unit with what it calls; off: through its settings" ON)
option(SLUICE_RAW_CALLS "Ask the kernel for recv, send and epoll_wait; off: libc, for libraries that replace its calls" ON)
option(SLUICE_SSE42 "Compile llhttp with -msse4.2; turn off for x86-64 processors from before 2009" ${sluice_sse42_default})

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "sluice runs on Linux only; this build is for ${CMAKE_SYSTEM_NAME}.")
endif()

set(sluice_compiler_wanted "GCC 12 or newer, or Clang 19 or newer with libstdc++ 12 or newer")
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "^(GNU|Clang)$")
  message(FATAL_ERROR
    "sluice is written in C++23 and needs ${sluice_compiler_wanted}; "
    "found ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER}).")
elseif((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
       OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19))
  message(FATAL_ERROR
    "sluice is written in C++23 and needs ${sluice_compiler_wanted}; "
    "found ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER}). "
    "Choose another compiler with -DCMAKE_CXX_COMPILER=...")
endif()

if(NOT SLUICE_SANITIZE MATCHES "^(none|address,undefined|thread)$")
  message(FATAL_ERROR "SLUICE_SANITIZE is \"${SLUICE_SANITIZE}\"; it can be none, address,undefined or thread.")
endif()
if(NOT SLUICE_WITH_COMPRESSION MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "SLUICE_WITH_COMPRESSION is \"${SLUICE_WITH_COMPRESSION}\"; it can be AUTO, ON or OFF.")
endif()
if(NOT SLUICE_IO_URING MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "SLUICE_IO_URING is \"${SLUICE_IO_URING}\"; it can be AUTO, ON or OFF.")
endif()
if(SLUICE_FUZZ AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "SLUICE_FUZZ needs Clang, whose libFuzzer it uses; found ${CMAKE_CXX_COMPILER_ID}.")
endif()

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
  endif()
  find_program(SLUICE_CCACHE ccache)
  if(SLUICE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER "${SLUICE_CCACHE}")
    set(CMAKE_CXX_COMPILER_LAUNCHER "${SLUICE_CCACHE}")
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

# Sanitizers as compiler flags; they reach whatever links sluice in the same build, never an installed package.
set(sluice_sanitize_flags "")
if(NOT SLUICE_SANITIZE STREQUAL "none")
  list(APPEND sluice_sanitize_flags "-fsanitize=${SLUICE_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
endif()
if(SLUICE_FUZZ)
  list(APPEND sluice_sanitize_flags -fsanitize=fuzzer-no-link)
endif()
