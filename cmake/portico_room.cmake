# A room is a static library portico_<room>, alias portico::<room>, made of src/**/x.cpp; its tests and
# benchmarks lie beside the sources as x_test.cpp and x_bench.cpp and are left out of the library.

set(PORTICO_CXX_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast)

function(portico_compile_options target)
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_compile_options(${target} PRIVATE ${PORTICO_CXX_WARNINGS})
    # Optimising, GCC 12 takes what std::string does in operator+ for copies that overlap
    # (GCC bug 105651); none of ours ever did.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-Wno-restrict>)
    endif()
    if(PORTICO_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()

function(portico_room room)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/*.cpp)
    list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cpp$")
    add_library(portico_${room} ${sources})
    add_library(portico::${room} ALIAS portico_${room})
    set_target_properties(portico_${room} PROPERTIES
        EXPORT_NAME ${room}
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
    target_include_directories(portico_${room}
        PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
               $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
        PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
    portico_compile_options(portico_${room})
endfunction()

# All x_test.cpp of a room are one program, <room>_tests; CTest knows each test by its own name.
function(portico_unit_tests room)
    file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${room}/*_test.cpp)
    if(NOT tests)
        return()
    endif()
    portico_test_program(${room}_tests SOURCES ${tests} LIBRARIES portico::${room} GTest::gtest_main)
    target_include_directories(${room}_tests PRIVATE ${PROJECT_SOURCE_DIR}/${room}/src)
endfunction()

# A GoogleTest program whose tests CTest lists one by one; a skipped test is reported as skipped.
function(portico_test_program name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES;PROPERTIES" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE portico::testkit ${arg_LIBRARIES} GTest::gmock)
    portico_compile_options(${name})
    # It is the rooms that are to be fast; a test compiles in half the time.
    target_compile_options(${name} PRIVATE -O0)
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT 300 ${arg_PROPERTIES})
endfunction()

include(GoogleTest)
