#include "CKernels.h"

#if defined(__x86_64__)
#include <oneapi/dnnl/dnnl.h>
#include <stdatomic.h>

// What oneDNN is kept from by its environment is not used here either.
static bool allows(dnnl_cpu_isa_t instructions) {
  return (dnnl_get_effective_cpu_isa() & instructions) == instructions;
}

bool kernels_have_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && allows(dnnl_cpu_isa_avx512_core);
}
bool kernels_have_bf16(void) {
  return kernels_have_avx512() && __builtin_cpu_supports("avx512bf16") && allows(dnnl_cpu_isa_avx512_core_bf16);
}

static kernels_set found(void) {
  if (kernels_have_avx512()) return kernels_avx512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && allows(dnnl_cpu_isa_avx2) ? kernels_avx2
                                                                                                      : kernels_any;
}

kernels_set kernels_instructions(void) {
  // Whichever thread is first, they all find the same.
  static atomic_int known = -1;
  int set = atomic_load_explicit(&known, memory_order_relaxed);
  if (set < 0) {
    set = (int)found();
    atomic_store_explicit(&known, set, memory_order_relaxed);
  }
  return (kernels_set)set;
}
#else
bool kernels_have_avx512(void) { return false; }
bool kernels_have_bf16(void) { return false; }
kernels_set kernels_instructions(void) { return kernels_any; }
#endif
