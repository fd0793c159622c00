# What `cmake --install` puts where: the libraries with their headers, the command, the package files for CMake and
# pkg-config, the man page, the completions and the documents. Nothing installed names the prefix, so a tree may be
# moved after it was installed.

option(PORTICO_INSTALL "Make the install rules" ${PROJECT_IS_TOP_LEVEL})
if(NOT PORTICO_INSTALL)
    return()
endif()

include(CMakePackageConfigHelpers)

set(portico_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/portico)

# Shared libraries find each other, and the command finds them, from where they lie and not from a fixed place.
if(BUILD_SHARED_LIBS)
    file(RELATIVE_PATH libdir_from_bindir ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(portico PROPERTIES INSTALL_RPATH "$ORIGIN/${libdir_from_bindir}")
    set_target_properties(portico_core portico_os portico_run PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()

function(portico_install_room room export)
    install(TARGETS portico_${room} EXPORT ${export}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${room}/include)
        install(DIRECTORY ${PROJECT_SOURCE_DIR}/${room}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    endif()
endfunction()

foreach(room core os run)
    portico_install_room(${room} portico-targets)
endforeach()
install(EXPORT portico-targets NAMESPACE portico:: DESTINATION ${portico_package_dir})

# The testkit is there only if the tests were built; find_package(portico COMPONENTS testkit) says when it is missing.
if(TARGET portico_testkit)
    if(BUILD_SHARED_LIBS)
        set_target_properties(portico_testkit PROPERTIES INSTALL_RPATH "$ORIGIN")
    endif()
    portico_install_room(testkit portico-testkit-targets)
    install(EXPORT portico-testkit-targets NAMESPACE portico:: DESTINATION ${portico_package_dir})
endif()

install(TARGETS portico RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/portico-config.cmake.in
    ${PROJECT_BINARY_DIR}/package/portico-config.cmake
    INSTALL_DESTINATION ${portico_package_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/portico-config-version.cmake
    COMPATIBILITY SameMinorVersion) # before 1.0 a minor version may change the interface
install(FILES
    ${PROJECT_BINARY_DIR}/package/portico-config.cmake
    ${PROJECT_BINARY_DIR}/package/portico-config-version.cmake
    DESTINATION ${portico_package_dir})

# One .pc file a room, so that a program that needs core alone does not get Asio's flags; portico.pc is all of them.
set(portico_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix_from_here
    ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix_from_here "${pc_prefix_from_here}")
file(RELATIVE_PATH pc_libdir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH pc_includedir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
foreach(name portico-core portico-os portico-run portico)
    configure_file(${PROJECT_SOURCE_DIR}/packaging/pkgconfig/${name}.pc.in
        ${PROJECT_BINARY_DIR}/package/${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/package/${name}.pc DESTINATION ${portico_pc_dir})
endforeach()

install(FILES ${PROJECT_SOURCE_DIR}/docs/man/portico.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_SOURCE_DIR}/docs/man/portico.toml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/completions/portico.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME portico)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/completions/_portico
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${PROJECT_SOURCE_DIR}/packaging/completions/portico.fish
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

install(FILES
    ${PROJECT_SOURCE_DIR}/LICENSE
    ${PROJECT_SOURCE_DIR}/README.md
    ${PROJECT_SOURCE_DIR}/CHANGELOG.md
    ${PROJECT_SOURCE_DIR}/ARCHITECTURE.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples/serve DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/guide DESTINATION ${CMAKE_INSTALL_DOCDIR})
