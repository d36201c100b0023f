// Vectors of sixteen floats: one register with AVX-512, two with AVX2, four with NEON or SSE. The compiler splits them.
#pragma once

typedef float floats __attribute__((vector_size(64), aligned(4)));
typedef int32_t ints __attribute__((vector_size(64), aligned(4)));

#define LOAD(pointer) (*(const floats *)(pointer))
#define STORE(pointer, value) (*(floats *)(pointer) = (value))
#define UNROLL _Pragma("clang loop unroll(full)")

// Compiles a function for several generations of processors and takes the right one at run time.
#if defined(__x86_64__)
#define PORTABLE __attribute__((target_clones("avx512f", "arch=haswell", "default")))
#else
#define PORTABLE
#endif
