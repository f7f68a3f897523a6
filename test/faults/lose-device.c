// Spoils the process's context on GPU 0 as a kernel does that writes to an address that is nobody's, when the process sends
// itself SIGUSR2: preloaded, so that the package meets an error that it cannot cause itself. It stands in the place of
// kill(), because node resets the handlers of signals that a library has set.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

static const char kernel[] =
    ".version 7.0\n.target sm_75\n.address_size 64\n"
    ".visible .entry spoil() { .reg .u64 %a; .reg .u32 %v; mov.u64 %a, 16; mov.u32 %v, 1; st.global.u32 [%a], %v; ret; }\n";

static int call(void* driver, const char* name, void* a, void* b, void* c) {
  int (*function)(void*, void*, void*) = (int (*)(void*, void*, void*))dlsym(driver, name);
  return function == NULL ? -1 : function(a, b, c);
}

static void spoil(void) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW);
  void *context = NULL, *module = NULL, *function = NULL;
  int failed = driver == NULL || call(driver, "cuDevicePrimaryCtxRetain", &context, NULL, NULL) ||
               call(driver, "cuCtxSetCurrent", context, NULL, NULL) ||
               call(driver, "cuModuleLoadData", &module, (void*)kernel, NULL) ||
               call(driver, "cuModuleGetFunction", &function, module, (void*)"spoil");
  if (!failed) {
    typedef int Launch(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
    Launch* launch = (Launch*)dlsym(driver, "cuLaunchKernel");
    failed = launch == NULL || launch(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
  }
  if (failed) fputs("the device could not be spoiled\n", stderr);
}

int kill(pid_t process, int signal_number) {
  if (signal_number == SIGUSR2) {
    spoil();
    return 0;
  }
  int (*send)(pid_t, int) = (int (*)(pid_t, int))dlsym(RTLD_NEXT, "kill");
  return send(process, signal_number);
}
