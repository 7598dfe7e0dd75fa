# meshfold_library(NAME SOURCES... PUBLIC libraries... PRIVATE libraries... [TORCH]): the static library of one folder. What it links is
# what it may include (docs/architecture.md has the table, tests/structure/includes_test.py checks it). TORCH: its sources see LibTorch,
# most of whose compile time is one precompiled header that all such libraries and tests share.
function(meshfold_library name)
  cmake_parse_arguments(arg "TORCH" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} meshfold_warnings)
  if(arg_TORCH)
    target_link_libraries(${name} PUBLIC meshfold_torch)
    meshfold_use_precompiled_headers(${name})
  endif()
endfunction()

# For a target that links meshfold_torch. Options that change what a header means must be the same as of the precompiled ones, hence OpenMP.
function(meshfold_use_precompiled_headers name)
  target_link_libraries(${name} PRIVATE OpenMP::OpenMP_CXX)
  if(MESHFOLD_PRECOMPILED_HEADERS)
    target_precompile_headers(${name} REUSE_FROM meshfold_precompiled)
    # ccache asks for the first. The others are seen by g++ 12 in std::string of a precompiled header, where they are not.
    target_compile_options(${name} PRIVATE
      "$<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>")
  endif()
endfunction()

option(MESHFOLD_PRECOMPILED_HEADERS "Precompile LibTorch's and other large headers once (half the build time)" ON)
if(MESHFOLD_PRECOMPILED_HEADERS)
  file(WRITE ${CMAKE_BINARY_DIR}/precompiled.cpp.new "// The headers of cmake/libraries.cmake are compiled with this file.\n")
  configure_file(${CMAKE_BINARY_DIR}/precompiled.cpp.new ${CMAKE_BINARY_DIR}/precompiled.cpp COPYONLY)
  add_library(meshfold_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cpp)
  target_include_directories(meshfold_precompiled PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(meshfold_precompiled PRIVATE meshfold_torch nlohmann_json::nlohmann_json OpenMP::OpenMP_CXX meshfold_warnings)
  target_precompile_headers(meshfold_precompiled PRIVATE
    <ATen/ATen.h> <ATen/Parallel.h> <nlohmann/json.hpp>
    <algorithm> <chrono> <filesystem> <fstream> <functional> <map> <memory> <numeric> <optional> <regex> <set> <span> <sstream> <string> <vector>)
endif()
