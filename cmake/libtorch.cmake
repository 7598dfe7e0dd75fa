# LibTorch is the one inside the PyPI wheel of torch. CPU programs link libtorch_cpu and libc10 alone (0.3 s to start);
# libtorch_cpu itself needs libcudart and libcupti at run time, from a CUDA toolkit or from two small wheels beside torch.
set(MESHFOLD_TORCH_DIR "" CACHE PATH "The torch package directory (holds include/ and lib/); scripts/build sets it")
if(NOT MESHFOLD_TORCH_DIR AND DEFINED ENV{MESHFOLD_TORCH_DIR})
  set(MESHFOLD_TORCH_DIR $ENV{MESHFOLD_TORCH_DIR})
endif()
find_library(TORCH_CPU_LIBRARY torch_cpu PATHS ${MESHFOLD_TORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(C10_LIBRARY c10 PATHS ${MESHFOLD_TORCH_DIR}/lib NO_DEFAULT_PATH)
if(NOT TORCH_CPU_LIBRARY OR NOT C10_LIBRARY)
  message(FATAL_ERROR "LibTorch was not found in '${MESHFOLD_TORCH_DIR}'. Run scripts/build, or set MESHFOLD_TORCH_DIR "
                      "to the directory of an installed torch package (python3 -c 'import torch; print(torch.__path__[0])')")
endif()
get_filename_component(site_packages ${MESHFOLD_TORCH_DIR} DIRECTORY)
set(torch_runtime_dirs ${MESHFOLD_TORCH_DIR}/lib)
foreach(dir ${site_packages}/nvidia/cu13/lib ${site_packages}/nvidia/cuda_runtime/lib ${site_packages}/nvidia/cuda_cupti/lib
            /usr/local/cuda/lib64 /usr/local/cuda/extras/CUPTI/lib64)
  if(EXISTS ${dir})
    list(APPEND torch_runtime_dirs ${dir})
  endif()
endforeach()

add_library(meshfold_torch INTERFACE)
target_include_directories(meshfold_torch SYSTEM INTERFACE
  ${MESHFOLD_TORCH_DIR}/include ${MESHFOLD_TORCH_DIR}/include/torch/csrc/api/include)
target_link_libraries(meshfold_torch INTERFACE ${TORCH_CPU_LIBRARY} ${C10_LIBRARY} Threads::Threads)
target_link_options(meshfold_torch INTERFACE -Wl,--disable-new-dtags)  # DT_RPATH serves libtorch_cpu's own needs too
foreach(dir ${torch_runtime_dirs})
  target_link_options(meshfold_torch INTERFACE -Wl,-rpath,${dir} -Wl,-rpath-link,${dir})
endforeach()
