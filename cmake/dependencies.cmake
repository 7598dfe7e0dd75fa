# Every package the project uses, each as one SYSTEM target.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(MPI REQUIRED COMPONENTS C)
target_compile_definitions(MPI::MPI_C INTERFACE OMPI_SKIP_MPICXX=1)
set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 REQUIRED COMPONENTS C)
if(NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "HDF5 at ${HDF5_INCLUDE_DIRS} was built without MPI; Meshfold writes datasets from all ranks. "
                      "Install a parallel build (Debian: libhdf5-openmpi-dev) or name one with -DHDF5_ROOT=DIR")
endif()
add_library(meshfold_hdf5 INTERFACE)
target_include_directories(meshfold_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_compile_definitions(meshfold_hdf5 INTERFACE ${HDF5_C_DEFINITIONS})
target_link_libraries(meshfold_hdf5 INTERFACE ${HDF5_C_LIBRARIES} MPI::MPI_C)
find_package(Boost 1.71 REQUIRED COMPONENTS program_options)
find_package(nlohmann_json 3.9 REQUIRED)
find_package(OpenSSL COMPONENTS Crypto)
if(NOT TARGET OpenSSL::Crypto)
  message(FATAL_ERROR "OpenSSL's libcrypto was not found; Meshfold hashes the manifests of checkpoints by it. Install it "
                      "(Debian: libssl-dev, conda: openssl) or name one with -DOPENSSL_ROOT_DIR=DIR")
endif()
find_package(ZLIB 1.2.9)
if(NOT TARGET ZLIB::ZLIB)
  message(FATAL_ERROR "zlib (1.2.9 or later) was not found; Meshfold checks the records of pytorch_model.bin by its CRC-32. Install it "
                      "(Debian: zlib1g-dev, conda: zlib) or name one with -DZLIB_ROOT=DIR")
endif()

find_package(PkgConfig REQUIRED)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)

include(libtorch)
