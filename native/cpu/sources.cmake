# The CPU backend's sources, in SELECTIVE_SCAN_CPU_SOURCES. The kernels are compiled once for each vector set of the
# target's architecture, each file with instructions of its own; which one runs is decided on the machine it runs on.
#
# A fused multiply-add is written where it is meant: the compiler may not make others, which would break exact sums.

set(SELECTIVE_SCAN_CPU_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/backend.cc
  ${CMAKE_CURRENT_LIST_DIR}/causal_conv1d.cc
  ${CMAKE_CURRENT_LIST_DIR}/causal_conv1d_update.cc
  ${CMAKE_CURRENT_LIST_DIR}/cpu_info.cc
  ${CMAKE_CURRENT_LIST_DIR}/embedding.cc
  ${CMAKE_CURRENT_LIST_DIR}/linear.cc
  ${CMAKE_CURRENT_LIST_DIR}/mamba_layer_step.cc
  ${CMAKE_CURRENT_LIST_DIR}/memory.cc
  ${CMAKE_CURRENT_LIST_DIR}/rms_norm.cc
  ${CMAKE_CURRENT_LIST_DIR}/sample.cc
  ${CMAKE_CURRENT_LIST_DIR}/sample_draw.cc
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan.cc
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_describe.cc
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_plan.cc
  ${CMAKE_CURRENT_LIST_DIR}/selective_state_update.cc
  ${CMAKE_CURRENT_LIST_DIR}/softmax.cc
  ${CMAKE_CURRENT_LIST_DIR}/thread_pool.cc
  ${CMAKE_CURRENT_LIST_DIR}/vector_set.cc
)

if(MSVC)
  set(SELECTIVE_SCAN_KERNEL_OPTIONS /fp:precise)
  set(SELECTIVE_SCAN_AVX512_OPTIONS /arch:AVX512)
  set(SELECTIVE_SCAN_AVX2_OPTIONS /arch:AVX2)
else()
  set(SELECTIVE_SCAN_KERNEL_OPTIONS -ffp-contract=off)
  # For machines without vectors, where loops that are unrolled for them are nothing but longer.
  set(SELECTIVE_SCAN_PORTABLE_OPTIONS -O2)
  set(SELECTIVE_SCAN_AVX512_OPTIONS -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c)
  set(SELECTIVE_SCAN_AVX2_OPTIONS -mavx2 -mfma -mf16c)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's own AVX-512 intrinsics start from an undefined vector, which GCC then warns of.
    list(APPEND SELECTIVE_SCAN_AVX512_OPTIONS -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
endif()

set(SELECTIVE_SCAN_VECTOR_OPS
  causal_conv1d
  embedding
  linear
  mamba_layer_step
  rms_norm
  sample
  selective_scan
  selective_state_update
  softmax
)

# Adds the kernels of one vector set, with its options.
macro(selective_scan_add_kernels VECTOR_SET)
  foreach(OP ${SELECTIVE_SCAN_VECTOR_OPS})
    set(SOURCE ${CMAKE_CURRENT_LIST_DIR}/${OP}_${VECTOR_SET}.cc)
    list(APPEND SELECTIVE_SCAN_CPU_SOURCES ${SOURCE})
    set_source_files_properties(${SOURCE} PROPERTIES COMPILE_OPTIONS "${SELECTIVE_SCAN_KERNEL_OPTIONS};${ARGN}")
  endforeach()
endmacro()

set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/sample.cc ${CMAKE_CURRENT_LIST_DIR}/sample_draw.cc
                            PROPERTIES COMPILE_OPTIONS "${SELECTIVE_SCAN_KERNEL_OPTIONS}")

selective_scan_add_kernels(portable ${SELECTIVE_SCAN_PORTABLE_OPTIONS})
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  selective_scan_add_kernels(avx512 ${SELECTIVE_SCAN_AVX512_OPTIONS})
  selective_scan_add_kernels(avx2 ${SELECTIVE_SCAN_AVX2_OPTIONS})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  selective_scan_add_kernels(neon)
endif()
