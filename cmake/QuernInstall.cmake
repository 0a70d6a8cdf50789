# What is installed, and how other projects find it: find_package(quern) in the build folder and
# wherever an installed tree has been moved to, and pkg-config. Components are Debian's packages.
include(CMakePackageConfigHelpers)

set(QUERN_CMAKE_FOLDER lib/cmake/quern)

set_target_properties(quern_shared PROPERTIES EXPORT_NAME quern)
install(TARGETS quern_shared EXPORT quernTargets
  LIBRARY DESTINATION lib COMPONENT library NAMELINK_COMPONENT development)
# The program finds the archive, which some compiled models are linked with, in ../lib.
install(TARGETS quern quern-opt RUNTIME DESTINATION bin COMPONENT program)
install(TARGETS quern_runtime ARCHIVE DESTINATION lib COMPONENT program)
install(DIRECTORY api/include/ runtime/include/ DESTINATION include
  COMPONENT development FILES_MATCHING PATTERN "*.h")

# find_package(quern)
install(EXPORT quernTargets NAMESPACE quern:: DESTINATION ${QUERN_CMAKE_FOLDER} COMPONENT development)
export(EXPORT quernTargets NAMESPACE quern:: FILE ${PROJECT_BINARY_DIR}/lib/cmake/quern/quernTargets.cmake)
configure_package_config_file(cmake/quernConfig.cmake.in ${PROJECT_BINARY_DIR}/lib/cmake/quern/quernConfig.cmake
  INSTALL_DESTINATION ${QUERN_CMAKE_FOLDER})
# Before 1.0 every minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lib/cmake/quern/quernConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/lib/cmake/quern/quernConfig.cmake
  ${PROJECT_BINARY_DIR}/lib/cmake/quern/quernConfigVersion.cmake
  DESTINATION ${QUERN_CMAKE_FOLDER} COMPONENT development)

# pkg-config quern: in the build folder with the source's headers; where it is installed, the
# prefix is where the file lies.
set(QUERN_PC_PREFIX ${PROJECT_BINARY_DIR})
set(QUERN_PC_CFLAGS "-I${PROJECT_SOURCE_DIR}/api/include -I${PROJECT_SOURCE_DIR}/runtime/include")
configure_file(cmake/quern.pc.in ${PROJECT_BINARY_DIR}/lib/pkgconfig/quern.pc @ONLY)
set(QUERN_PC_PREFIX [[${pcfiledir}/../..]])
set(QUERN_PC_CFLAGS [[-I${prefix}/include]])
configure_file(cmake/quern.pc.in ${PROJECT_BINARY_DIR}/share/quern.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/share/quern.pc
  DESTINATION lib/pkgconfig COMPONENT development)

# The manual page and completion scripts, written by the program.
set(share ${PROJECT_BINARY_DIR}/share)
file(MAKE_DIRECTORY ${share})
set(shareFiles ${share}/quern.1.gz ${share}/quern.bash ${share}/quern.fish ${share}/_quern)
add_custom_command(OUTPUT ${shareFiles}
  COMMAND quern manual | gzip -9n > ${share}/quern.1.gz
  COMMAND quern completion bash > ${share}/quern.bash
  COMMAND quern completion fish > ${share}/quern.fish
  COMMAND quern completion zsh > ${share}/_quern
  DEPENDS quern VERBATIM)
add_custom_command(OUTPUT ${share}/changelog.gz
  COMMAND gzip -9n < ${PROJECT_SOURCE_DIR}/CHANGELOG.md > ${share}/changelog.gz
  DEPENDS CHANGELOG.md VERBATIM)
# With the notices of what is linked in, where Debian's packages say them.
find_program(QUERN_DPKG_QUERY dpkg-query)
set(linkedIn llvm-19-dev libmlir-19-dev liblld-19-dev libcli11-dev libflatbuffers-dev libfmt-dev nlohmann-json3-dev)
if(QUERN_DPKG_QUERY)
  add_custom_command(OUTPUT ${share}/copyright
    COMMAND cat ${PROJECT_SOURCE_DIR}/LICENSE > ${share}/copyright
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/notices ${linkedIn} >> ${share}/copyright
    DEPENDS LICENSE scripts/notices VERBATIM)
else()
  configure_file(LICENSE ${share}/copyright COPYONLY)
endif()
add_custom_target(quern_share ALL
  DEPENDS ${shareFiles} ${share}/changelog.gz ${share}/copyright)
install(FILES ${share}/quern.1.gz DESTINATION share/man/man1 COMPONENT program)
install(FILES ${share}/quern.bash DESTINATION share/bash-completion/completions RENAME quern
  COMPONENT program)
install(FILES ${share}/quern.fish DESTINATION share/fish/vendor_completions.d COMPONENT program)
install(FILES ${share}/_quern DESTINATION share/zsh/vendor-completions COMPONENT program)

include(QuernPackage)
