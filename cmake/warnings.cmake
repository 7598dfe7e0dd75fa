# One interface target carries what every target of ours is compiled with.
add_library(meshfold_warnings INTERFACE)
set(meshfold_cxx_options
  -Wall -Wextra -Wpedantic -Wshadow -Werror
  -Wno-restrict  # g++ 12 sees overlaps in std::string concatenation that are not there
  -ffp-contract=off  # a fused multiply-add is written where it is meant, never chosen by the compiler
)
target_compile_options(meshfold_warnings INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:${meshfold_cxx_options}>"
  "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;-Werror=all-warnings;-Xcompiler=-Wall,-Wextra>"
)
if(MESHFOLD_SANITIZER)
  target_compile_options(meshfold_warnings INTERFACE -fsanitize=${MESHFOLD_SANITIZER} -fno-omit-frame-pointer)
  target_link_options(meshfold_warnings INTERFACE -fsanitize=${MESHFOLD_SANITIZER})
endif()
target_include_directories(meshfold_warnings INTERFACE ${PROJECT_SOURCE_DIR})
