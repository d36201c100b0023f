// Six rows times sixty-four columns in the registers of AVX-512: what the products of tokens and centres are made of.
#pragma once
#if defined(__x86_64__)
#include "exponential.h"
#include "vector.h"

enum { ROWS = 6, LANES = 16, GROUP = 64 };

static inline long rounded_up(long count, long multiple) { return (count + multiple - 1) / multiple * multiple; }

// Six rows (`row_stride` apart) of `depth` numbers times columns laid out (depth, 64), to six rows of 64 `stride` apart.
INLINE_AVX512 void products_f32(
    const float *rows, long row_stride, const float *columns, long depth, float *to, long stride) {
  __m512 sum[ROWS][4];
  UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int v = 0; v < 4; v++) sum[r][v] = _mm512_setzero_ps();
  for (long k = 0; k < depth; k++) {
    __m512 column[4];
    UNROLL for (int v = 0; v < 4; v++) column[v] = _mm512_loadu_ps(columns + k * GROUP + v * LANES);
    UNROLL for (int r = 0; r < ROWS; r++) {
      const __m512 number = _mm512_set1_ps(rows[r * row_stride + k]);
      UNROLL for (int v = 0; v < 4; v++) sum[r][v] = _mm512_fmadd_ps(number, column[v], sum[r][v]);
    }
  }
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int v = 0; v < 4; v++) _mm512_storeu_ps(to + r * stride + v * LANES, sum[r][v]);
}
#endif
