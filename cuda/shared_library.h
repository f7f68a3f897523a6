// Libraries that are opened at run time, where they are there.
#pragma once

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace selective_scan {

// Null if there is none of that name or path. It is never closed.
inline void* open_library(const char* name) {
#ifdef _WIN32
  return reinterpret_cast<void*>(LoadLibraryA(name));
#else
  return dlopen(name, RTLD_NOW | RTLD_LOCAL);
#endif
}

// Null if the library has no such function.
template <typename Function>
Function find_function(void* library, const char* name) {
#ifdef _WIN32
  return reinterpret_cast<Function>(GetProcAddress(static_cast<HMODULE>(library), name));
#else
  return reinterpret_cast<Function>(dlsym(library, name));
#endif
}

}  // namespace selective_scan
