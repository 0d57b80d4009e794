# A relocatable install: the program finds its data from its own place, and the CMake package finds the
# library from the package file's place.
include(CMakePackageConfigHelpers)

install(TARGETS agon_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS agon EXPORT agon_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY src/agon DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "test_*" EXCLUDE)
install(DIRECTORY ${AGON_SHARE}/ DESTINATION ${CMAKE_INSTALL_DATADIR}/agon)
set(completions ${CMAKE_BINARY_DIR}/completions)
install(FILES ${completions}/agon.bash RENAME agon
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${completions}/agon.zsh RENAME _agon DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${completions}/agon.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES docs/man/agon.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES LICENSE NOTICE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(AGON_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/agon)
install(EXPORT agon_targets NAMESPACE agon:: FILE agon-targets.cmake DESTINATION ${AGON_PACKAGE_DIR})
configure_package_config_file(cmake/agon-config.cmake.in ${CMAKE_BINARY_DIR}/agon-config.cmake
  INSTALL_DESTINATION ${AGON_PACKAGE_DIR} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/agon-config-version.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/agon-config.cmake ${CMAKE_BINARY_DIR}/agon-config-version.cmake
              cmake/Dependencies.cmake
        DESTINATION ${AGON_PACKAGE_DIR})
