# portico_rpcgen(target file.x) makes a static library of what rpcgen writes for file.x: <file.h> with its types, and
# their xdr_ functions on top of libtirpc. PORTICO_HAS_RPCGEN says whether both are there.
find_program(RPCGEN rpcgen)
find_path(TIRPC_INCLUDE_DIR rpc/xdr.h PATH_SUFFIXES tirpc)
find_library(TIRPC_LIBRARY tirpc)
if(RPCGEN AND TIRPC_INCLUDE_DIR AND TIRPC_LIBRARY)
    set(PORTICO_HAS_RPCGEN TRUE)
    enable_language(C)
else()
    set(PORTICO_HAS_RPCGEN FALSE)
endif()

function(portico_rpcgen target file)
    get_filename_component(name ${file} NAME_WE)
    set(place ${CMAKE_CURRENT_BINARY_DIR}/rpcgen_${name})
    # In a directory of its own, as rpcgen includes the header by the path of what it read, and overwrites nothing.
    add_custom_command(OUTPUT ${place}/${name}.h ${place}/${name}.c
        COMMAND ${CMAKE_COMMAND} -E rm -rf ${place}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${place}
        COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${place}/${name}.x
        COMMAND ${CMAKE_COMMAND} -E chdir ${place} ${RPCGEN} -h -o ${name}.h ${name}.x
        COMMAND ${CMAKE_COMMAND} -E chdir ${place} ${RPCGEN} -c -o ${name}.c ${name}.x
        DEPENDS ${file} VERBATIM)
    add_library(${target} STATIC ${place}/${name}.c ${place}/${name}.h)
    target_include_directories(${target} SYSTEM PUBLIC ${place} ${TIRPC_INCLUDE_DIR})
    target_link_libraries(${target} PUBLIC ${TIRPC_LIBRARY})
    target_compile_options(${target} PRIVATE -w) # not our code
endfunction()
