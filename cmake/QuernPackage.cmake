# Debian packages: quern, libquern0 and libquern-dev; scripts/package makes and tries them.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME quern)
set(CPACK_PACKAGE_VENDOR Quern)
# Who builds them answers for them: $DEBFULLNAME <$DEBEMAIL>, as Debian's tools have it.
set(name "$ENV{DEBFULLNAME}")
set(address "$ENV{DEBEMAIL}")
if(NOT name)
  set(name "Quern maintainers")
endif()
if(NOT address)
  cmake_host_system_information(RESULT host QUERY FQDN)
  set(address "root@${host}")
endif()
set(QUERN_PACKAGE_CONTACT "${name} <${address}>" CACHE STRING "The maintainer of Debian packages")
set(CPACK_PACKAGE_CONTACT "${QUERN_PACKAGE_CONTACT}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL program library development)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# From the libraries that the files are linked with.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)

set(library libquern${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME quern)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${library})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libquern-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${library} (= ${PROJECT_VERSION})")
set(what "compiler for neural networks")
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "${what}, command line
 Compiles ONNX models to native code, runs them, and compares both with an interpreter.")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "${what}, shared library
 Loads, compiles and runs ONNX models.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "${what}, headers
 For C and C++ programs that load, compile and run ONNX models.")

# Each package has its licence, those of what is linked into it, and its changes.
foreach(row IN ITEMS "program quern" "library ${library}" "development libquern-dev")
  separate_arguments(row)
  list(GET row 0 component)
  list(GET row 1 package)
  install(FILES ${PROJECT_BINARY_DIR}/share/copyright DESTINATION share/doc/${package} COMPONENT ${component})
  install(FILES ${PROJECT_BINARY_DIR}/share/changelog.gz DESTINATION share/doc/${package}
    COMPONENT ${component})
endforeach()
include(CPack)
