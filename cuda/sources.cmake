# The CUDA backend's sources. Each element type of the scan is a file of its own, so that they compile side by side.
set(SELECTIVE_SCAN_CUDA_SOURCES
  ${CMAKE_CURRENT_LIST_DIR}/backend.cu
  ${CMAKE_CURRENT_LIST_DIR}/caching_pool.cu
  ${CMAKE_CURRENT_LIST_DIR}/host_integers.cu
  ${CMAKE_CURRENT_LIST_DIR}/lane_scan_bfloat16.cu
  ${CMAKE_CURRENT_LIST_DIR}/lane_scan_float16.cu
  ${CMAKE_CURRENT_LIST_DIR}/lane_scan_float32.cu
  ${CMAKE_CURRENT_LIST_DIR}/queue.cu
  ${CMAKE_CURRENT_LIST_DIR}/roofs.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_bfloat16.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_chunks.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_float16.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_scan_float32.cu
  ${CMAKE_CURRENT_LIST_DIR}/selective_state_update.cu
  ${CMAKE_CURRENT_LIST_DIR}/status.cu
)
