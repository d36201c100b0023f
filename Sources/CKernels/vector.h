// Vectors of sixteen floats: one register with AVX-512, two with AVX2, four with NEON or SSE. The compiler splits them.
#pragma once

typedef float floats __attribute__((vector_size(64), aligned(4)));
typedef int32_t ints __attribute__((vector_size(64), aligned(4)));

#define LOAD(pointer) (*(const floats *)(pointer))
#define STORE(pointer, value) (*(floats *)(pointer) = (value))
#define UNROLL _Pragma("clang loop unroll(full)")

// Defines a function in forms for several generations of processors, of which each call takes the one of
// `kernels_instructions`: PORTABLE(type, name, (parameters), (the parameters' names)) { … }
#if defined(__x86_64__)
#define PORTABLE(type, name, parameters, names)                                                                  \
  static inline __attribute__((always_inline)) type name##_body parameters;                                      \
  static __attribute__((target("avx512f"))) type name##_avx512 parameters { return name##_body names; }          \
  static __attribute__((target("avx2,fma"))) type name##_avx2 parameters { return name##_body names; }           \
  static type name##_any parameters { return name##_body names; }                                                \
  type name parameters {                                                                                         \
    switch (kernels_instructions()) {                                                                            \
    case kernels_avx512: return name##_avx512 names;                                                             \
    case kernels_avx2: return name##_avx2 names;                                                                 \
    case kernels_any: break;                                                                                     \
    }                                                                                                            \
    return name##_any names;                                                                                     \
  }                                                                                                              \
  static inline __attribute__((always_inline)) type name##_body parameters
#else
#define PORTABLE(type, name, parameters, names) type name parameters
#endif
