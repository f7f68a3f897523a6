// Stands for an NVIDIA driver of another machine: it supports CUDA DRIVER_VERSION and cuInit returns INIT_RESULT.
int cuInit(unsigned flags) {
  (void)flags;
  return INIT_RESULT;
}

int cuDriverGetVersion(int* version) {
  *version = DRIVER_VERSION;
  return 0;
}
