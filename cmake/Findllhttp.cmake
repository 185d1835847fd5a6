# Findllhttp: llhttp, in this order
#
#   1. a target that is there already: llhttp::llhttp, llhttp_static or llhttp_shared (add_subdirectory, FetchContent)
#   2. llhttp's own CMake package
#   3. pkg-config's libllhttp
#   4. the sources, as Debian's node-llhttp installs them: share/llhttp/{api,http,llhttp}.c and
#      share/include/llhttp/llhttp.h (LLHTTP_SOURCE_ROOT names another prefix)
#
# A prebuilt llhttp (2 and 3) older than 9.2.1 is refused: it may have been compiled in its lax mode, which accepts
# what RFC 9112 forbids, and nothing in the binary tells. In source form 8.1.0 will do, since sluice chooses the mode.
#
# Sets llhttp_FOUND and either LLHTTP_TARGET (to link), or LLHTTP_SOURCES and LLHTTP_INCLUDE_DIR (to compile).

set(llhttp_oldest_prebuilt 9.2.1)
set(LLHTTP_TARGET "")
set(LLHTTP_SOURCES "")
set(llhttp_refused "")

foreach(target llhttp::llhttp llhttp_static llhttp_shared llhttp::llhttp_static llhttp::llhttp_shared)
  if(NOT LLHTTP_TARGET AND TARGET ${target})
    set(LLHTTP_TARGET ${target})
    set(llhttp_taken "the target ${target} of this build")
  endif()
endforeach()

if(NOT LLHTTP_TARGET)
  find_package(llhttp CONFIG QUIET)
  if(llhttp_FOUND)
    if(llhttp_VERSION AND llhttp_VERSION VERSION_LESS llhttp_oldest_prebuilt)
      string(APPEND llhttp_refused
        " The CMake package in ${llhttp_DIR} is ${llhttp_VERSION}, and a prebuilt llhttp older than "
        "${llhttp_oldest_prebuilt} may have been compiled in its lax mode.")
    else()
      foreach(target llhttp::llhttp llhttp::llhttp_static llhttp::llhttp_shared)
        if(NOT LLHTTP_TARGET AND TARGET ${target})
          set(LLHTTP_TARGET ${target})
          set(llhttp_taken "the CMake package ${llhttp_VERSION} in ${llhttp_DIR}")
        endif()
      endforeach()
    endif()
  endif()
endif()

if(NOT LLHTTP_TARGET)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(LLHTTP_PC QUIET IMPORTED_TARGET libllhttp)
    if(LLHTTP_PC_FOUND AND LLHTTP_PC_VERSION VERSION_LESS llhttp_oldest_prebuilt)
      string(APPEND llhttp_refused
        " pkg-config's libllhttp is ${LLHTTP_PC_VERSION}, and a prebuilt llhttp older than "
        "${llhttp_oldest_prebuilt} may have been compiled in its lax mode.")
    elseif(LLHTTP_PC_FOUND)
      set(LLHTTP_TARGET PkgConfig::LLHTTP_PC)
      set(llhttp_taken "pkg-config's libllhttp ${LLHTTP_PC_VERSION}")
    endif()
  endif()
endif()

if(NOT LLHTTP_TARGET)
  find_path(LLHTTP_INCLUDE_DIR llhttp.h
    HINTS "${LLHTTP_SOURCE_ROOT}" PATHS /usr /usr/local PATH_SUFFIXES share/include/llhttp)
  find_path(LLHTTP_SOURCE_DIR llhttp.c
    HINTS "${LLHTTP_SOURCE_ROOT}" PATHS /usr /usr/local PATH_SUFFIXES share/llhttp)
  mark_as_advanced(LLHTTP_INCLUDE_DIR LLHTTP_SOURCE_DIR)
  if(LLHTTP_INCLUDE_DIR AND LLHTTP_SOURCE_DIR)
    foreach(file api.c http.c llhttp.c)
      list(APPEND LLHTTP_SOURCES "${LLHTTP_SOURCE_DIR}/${file}")
    endforeach()
    set(llhttp_version "")
    foreach(part MAJOR MINOR PATCH)
      file(STRINGS "${LLHTTP_INCLUDE_DIR}/llhttp.h" line REGEX "^#define LLHTTP_VERSION_${part} ")
      string(REGEX REPLACE ".* ([0-9]+).*" "\\1" line "${line}")
      string(APPEND llhttp_version ".${line}")
    endforeach()
    string(SUBSTRING "${llhttp_version}" 1 -1 llhttp_version)
    set(llhttp_taken "the sources ${llhttp_version} in ${LLHTTP_SOURCE_DIR}")
  endif()
endif()

set(llhttp_FOUND FALSE)
if(LLHTTP_TARGET OR LLHTTP_SOURCES)
  set(llhttp_FOUND TRUE)
  if(NOT llhttp_FIND_QUIETLY)
    message(STATUS "llhttp: ${llhttp_taken}")
    if(llhttp_refused)
      message(STATUS "llhttp: passed over.${llhttp_refused}")
    endif()
  endif()
elseif(llhttp_FIND_REQUIRED)
  message(FATAL_ERROR
    "sluice needs llhttp, and found none it can use.${llhttp_refused} On Debian and Ubuntu: apt-get install "
    "node-llhttp. Elsewhere: llhttp ${llhttp_oldest_prebuilt} or newer, found by CMake or pkg-config, or its sources "
    "under -DLLHTTP_SOURCE_ROOT=PREFIX as PREFIX/share/llhttp/*.c and PREFIX/share/include/llhttp/llhttp.h.")
endif()
