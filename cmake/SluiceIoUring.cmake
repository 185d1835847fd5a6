# The io_uring backend (src/net/uring_ring.hpp): liburing, which one source file includes. Without it the library serves
# by epoll alone, and says so.
#
# Sets sluice_with_io_uring, and
#   sluice_io_uring_target   to link, or nothing
#   sluice_io_uring_left_out the source that is not compiled

set(sluice_liburing_oldest 2.3)
set(sluice_with_io_uring OFF)
set(sluice_io_uring_target "")
set(sluice_io_uring_left_out "${PROJECT_SOURCE_DIR}/src/net/uring_ring.cpp")
set(why "liburing ${sluice_liburing_oldest} or newer (Debian: liburing-dev) was not found by pkg-config")

if(NOT SLUICE_IO_URING STREQUAL "OFF")
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    # The installed package looks for it under the same name: see sluiceConfig.cmake.in.
    pkg_check_modules(SLUICE_LIBURING QUIET IMPORTED_TARGET GLOBAL "liburing>=${sluice_liburing_oldest}")
  endif()
  if(TARGET PkgConfig::SLUICE_LIBURING)
    set(sluice_with_io_uring ON)
    set(sluice_io_uring_target PkgConfig::SLUICE_LIBURING)
    set(sluice_io_uring_left_out "${PROJECT_SOURCE_DIR}/src/net/uring_absent.cpp")
    set(why "by liburing ${SLUICE_LIBURING_VERSION}")
  elseif(SLUICE_IO_URING STREQUAL "ON")
    message(FATAL_ERROR "SLUICE_IO_URING: ${why}.")
  endif()
else()
  set(why "turned off")
endif()
if(sluice_with_io_uring)
  message(STATUS "io_uring: ${why}")
else()
  message(STATUS "io_uring: none, ${why}")
endif()
