# The CUDA backend's sources. Each element type of the scan is a file of its own, so that they compile side by side.
set(SELECTIVE_SCAN_CUDA_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/backend.cu
  ${CMAKE_CURRENT_LIST_DIR}/caching_pool.cu
  ${CMAKE_CURRENT_LIST_DIR}/capture.cu
  ${CMAKE_CURRENT_LIST_DIR}/causal_conv1d.cu
  ${CMAKE_CURRENT_LIST_DIR}/causal_conv1d_update.cu
  ${CMAKE_CURRENT_LIST_DIR}/embedding.cu
  ${CMAKE_CURRENT_LIST_DIR}/cublas_lt.cu
  ${CMAKE_CURRENT_LIST_DIR}/driver_memory.cu
  ${CMAKE_CURRENT_LIST_DIR}/graph.cu
  ${CMAKE_CURRENT_LIST_DIR}/host_copies.cu
  ${CMAKE_CURRENT_LIST_DIR}/host_integers.cu
  ${CMAKE_CURRENT_LIST_DIR}/lane_scan_bfloat16.cu
  ${CMAKE_CURRENT_LIST_DIR}/lane_scan_float16.cu
  ${CMAKE_CURRENT_LIST_DIR}/lane_scan_float32.cu
  ${CMAKE_CURRENT_LIST_DIR}/mamba_layer_step.cu
  ${CMAKE_CURRENT_LIST_DIR}/linear.cu
  ${CMAKE_CURRENT_LIST_DIR}/linear_deal.cu
  ${CMAKE_CURRENT_LIST_DIR}/linear_launch.cu
  ${CMAKE_CURRENT_LIST_DIR}/linear_library.cu
  ${CMAKE_CURRENT_LIST_DIR}/queue.cu
  ${CMAKE_CURRENT_LIST_DIR}/rms_norm.cu
  ${CMAKE_CURRENT_LIST_DIR}/roofs.cu
  ${CMAKE_CURRENT_LIST_DIR}/sample.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_bfloat16.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_chunks.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_describe.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_float16.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_float32.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_state_update.cu
  ${CMAKE_CURRENT_LIST_DIR}/softmax.cu
  ${CMAKE_CURRENT_LIST_DIR}/specialized_scan_bfloat16.cu
  ${CMAKE_CURRENT_LIST_DIR}/specialized_scan_float16.cu
  ${CMAKE_CURRENT_LIST_DIR}/specialized_scan_float32.cu
  ${CMAKE_CURRENT_LIST_DIR}/status.cu
)

# Tokens are chosen alike on every backend: each operation on floats is rounded (native/ops/sample_numbers.h).
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/sample.cu PROPERTIES COMPILE_OPTIONS -fmad=false)
