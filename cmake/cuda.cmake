# The GPU back end: -DMESHFOLD_CUDA=ON (preset cuda). CPU programs link nothing of this.
option(MESHFOLD_CUDA "Build the GPU back end (CUDA toolkit, NCCL and the CUDA half of LibTorch)" OFF)
if(NOT MESHFOLD_CUDA)
  return()
endif()

include(CheckLanguage)
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX} AND EXISTS /usr/local/cuda/bin/nvcc)
  set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
endif()
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR "MESHFOLD_CUDA needs nvcc of a CUDA 13.0 toolkit and found none; put it on PATH, name it with "
                      "-DCMAKE_CUDA_COMPILER=DIR/bin/nvcc, or build without GPUs (preset release)")
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80;90" CACHE STRING "GPU architectures to compile for")
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 knows no C++20 of nvcc, which has it since 12.0
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
find_package(CUDAToolkit REQUIRED)

find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR})
if(NOT NCCL_INCLUDE_DIR OR NOT NCCL_LIBRARY)
  message(FATAL_ERROR "MESHFOLD_CUDA needs NCCL (nccl.h and libnccl.so) and did not find it; install it (Debian: libnccl-dev), or name "
                      "it with -DNCCL_INCLUDE_DIR=DIR -DNCCL_LIBRARY=FILE")
endif()
find_library(TORCH_CUDA_LIBRARY torch_cuda PATHS ${MESHFOLD_TORCH_DIR}/lib NO_DEFAULT_PATH)
find_library(C10_CUDA_LIBRARY c10_cuda PATHS ${MESHFOLD_TORCH_DIR}/lib NO_DEFAULT_PATH)
if(NOT TORCH_CUDA_LIBRARY OR NOT C10_CUDA_LIBRARY)
  message(FATAL_ERROR "MESHFOLD_CUDA: the LibTorch in '${MESHFOLD_TORCH_DIR}' has no CUDA half (libtorch_cuda.so, libc10_cuda.so); "
                      "install the CUDA wheel of torch, or build without GPUs (preset release)")
endif()

add_library(meshfold_cuda INTERFACE)
target_include_directories(meshfold_cuda SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS} ${NCCL_INCLUDE_DIR})
target_link_libraries(meshfold_cuda INTERFACE
  -Wl,--no-as-needed ${TORCH_CUDA_LIBRARY} -Wl,--as-needed  # its operators register themselves; no symbol asks for it
  ${C10_CUDA_LIBRARY} ${NCCL_LIBRARY} CUDA::cudart)
target_link_options(meshfold_cuda INTERFACE
  -Wl,-rpath,${CUDAToolkit_LIBRARY_DIR} -Wl,-rpath-link,${CUDAToolkit_LIBRARY_DIR})
