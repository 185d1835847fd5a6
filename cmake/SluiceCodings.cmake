# Content codings (src/extra/coding.hpp): zlib, and beside it brotli and zstd if pkg-config knows them. Without zlib the
# library has none, and compress() says so.
#
# Sets sluice_with_zlib, sluice_with_brotli and sluice_with_zstd, and
#   sluice_coding_targets   to link
#   sluice_codings_left_out the sources that cannot be compiled
#   sluice_coding_defines   for src/extra/coding.cpp

set(sluice_with_zlib OFF)
set(sluice_with_brotli OFF)
set(sluice_with_zstd OFF)
set(sluice_coding_targets "")
set(sluice_codings_left_out "")
set(sluice_coding_defines "")

if(NOT SLUICE_WITH_COMPRESSION STREQUAL "OFF")
  find_package(ZLIB QUIET GLOBAL)
  if(ZLIB_FOUND)
    set(sluice_with_zlib ON)
    list(APPEND sluice_coding_targets ZLIB::ZLIB)
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
      # The installed package looks for them under the same names: see sluiceConfig.cmake.in.
      pkg_check_modules(SLUICE_BROTLI QUIET IMPORTED_TARGET GLOBAL libbrotlienc libbrotlidec)
      pkg_check_modules(SLUICE_ZSTD QUIET IMPORTED_TARGET GLOBAL libzstd)
    endif()
  elseif(SLUICE_WITH_COMPRESSION STREQUAL "ON")
    message(FATAL_ERROR "SLUICE_WITH_COMPRESSION needs zlib (Debian: zlib1g-dev), which was not found.")
  endif()
endif()

foreach(name brotli zstd)
  string(TOUPPER "${name}" upper)
  if(sluice_with_zlib AND TARGET PkgConfig::SLUICE_${upper})
    set(sluice_with_${name} ON)
    list(APPEND sluice_coding_targets PkgConfig::SLUICE_${upper})
  endif()
endforeach()

set(sluice_zlib_source gzip)
set(sluice_brotli_source brotli)
set(sluice_zstd_source zstd)
set(taken "")
foreach(name zlib brotli zstd)
  string(TOUPPER "${name}" upper)
  if(sluice_with_${name})
    list(APPEND taken ${name})
    list(APPEND sluice_coding_defines SLUICE_WITH_${upper})
  else()
    list(APPEND sluice_codings_left_out "${PROJECT_SOURCE_DIR}/src/extra/${sluice_${name}_source}.cpp")
  endif()
endforeach()
if(taken)
  list(JOIN taken ", " taken)
  message(STATUS "content codings: by ${taken}")
else()
  message(STATUS "content codings: none")
endif()
