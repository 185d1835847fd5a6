# install(): headers, library, CMake package and pkg-config file. Nothing installed holds an absolute path, so that
# the whole prefix may be moved.

include(CMakePackageConfigHelpers)

set(sluice_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/sluice")

# From the folder of sluice.pc to the prefix, however deep the library folder lies. A packager's absolute library
# folder stays absolute.
set(sluice_pc_prefix "\${pcfiledir}")
string(REGEX MATCHALL "[^/]+" parts "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
foreach(part IN LISTS parts)
  string(APPEND sluice_pc_prefix "/..")
endforeach()
foreach(folder LIBDIR INCLUDEDIR)
  set(sluice_pc_${folder} "\${prefix}/${CMAKE_INSTALL_${folder}}")
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${folder}}")
    set(sluice_pc_${folder} "${CMAKE_INSTALL_${folder}}")
  endif()
endforeach()

set(sluice_pc_cflags "")
set(sluice_pc_requires "")
set(sluice_pc_libs "-pthread")
if(BUILD_SHARED_LIBS)
  set(sluice_pc_cflags " -DSLUICE_SHARED")
endif()
# A static library leaves liburing and the content codings' libraries to whoever links it; a shared one names them
# itself.
set(sluice_needs_zlib OFF)
set(sluice_needs_brotli OFF)
set(sluice_needs_zstd OFF)
set(sluice_needs_liburing OFF)
if(NOT BUILD_SHARED_LIBS)
  set(sluice_needs_zlib ${sluice_with_zlib})
  set(sluice_needs_brotli ${sluice_with_brotli})
  set(sluice_needs_zstd ${sluice_with_zstd})
  set(sluice_needs_liburing ${sluice_with_io_uring})
endif()
if(sluice_needs_zlib)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(SLUICE_ZLIB QUIET zlib)
  endif()
  if(SLUICE_ZLIB_FOUND)
    list(APPEND sluice_pc_requires zlib)
  else()
    string(APPEND sluice_pc_libs " -lz")
  endif()
endif()
if(sluice_needs_brotli)
  list(APPEND sluice_pc_requires libbrotlienc libbrotlidec)
endif()
if(sluice_needs_zstd)
  list(APPEND sluice_pc_requires libzstd)
endif()
if(sluice_needs_liburing)
  list(APPEND sluice_pc_requires liburing)
endif()

set(sluice_llhttp_folded ON)
if(LLHTTP_TARGET)
  set(sluice_llhttp_folded OFF)
  if(LLHTTP_TARGET MATCHES "PkgConfig")
    list(APPEND sluice_pc_requires "libllhttp >= 9.2.1")
  else()
    string(APPEND sluice_pc_libs " -lllhttp")
  endif()
endif()

list(JOIN sluice_pc_requires ", " sluice_pc_requires)
configure_file("${PROJECT_SOURCE_DIR}/cmake/sluice.pc.in" "${PROJECT_BINARY_DIR}/generated/sluice.pc" @ONLY)
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/sluiceConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/generated/sluiceConfig.cmake" INSTALL_DESTINATION "${sluice_cmake_dir}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/generated/sluiceConfigVersion.cmake"
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)

if(SLUICE_INSTALL)
  install(TARGETS sluice EXPORT sluiceTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  if(SLUICE_BUILD_BENCH)
    install(TARGETS sluice_bench EXPORT sluiceTargets
      ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
      LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
      INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    if(TARGET sluice-load)
      install(TARGETS sluice-load RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    endif()
  endif()
  install(EXPORT sluiceTargets NAMESPACE sluice:: DESTINATION "${sluice_cmake_dir}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/sluice" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    FILES_MATCHING PATTERN "*.hpp")
  install(FILES "${PROJECT_BINARY_DIR}/generated/sluiceConfig.cmake"
    "${PROJECT_BINARY_DIR}/generated/sluiceConfigVersion.cmake" "${PROJECT_SOURCE_DIR}/cmake/Findllhttp.cmake"
    DESTINATION "${sluice_cmake_dir}")
  install(FILES "${PROJECT_BINARY_DIR}/generated/sluice.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
endif()
