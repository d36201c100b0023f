#include "CKernels.h"

#if defined(__x86_64__)
bool kernels_have_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
bool kernels_have_bf16(void) { return kernels_have_avx512() && __builtin_cpu_supports("avx512bf16"); }
#else
bool kernels_have_avx512(void) { return false; }
bool kernels_have_bf16(void) { return false; }
#endif
