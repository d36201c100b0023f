// Six rows times sixty-four columns in the registers of AVX-512: what the products of tokens and centres are made of, and those
// of Winograd's tiles and weights.
#pragma once
#if defined(__x86_64__)
#include "exponential.h"
#include "vector.h"

enum { ROWS = 6, LANES = 16, GROUP = 64 };

static inline long rounded_up(long count, long multiple) { return (count + multiple - 1) / multiple * multiple; }

// `row_count` rows (`row_stride` apart) of `depth` numbers times columns laid out (depth, 16 · vectors), to as many rows of
// 16 · vectors, `stride` apart; added to what is there where `adds`. `row_count`, at most ROWS, and `vectors`, at most 4, are
// constants: the sums stay in registers.
INLINE_AVX512 void products_f32(
    const float *rows, long row_stride, const float *columns, long depth, float *to, long stride, bool adds,
    const int row_count, const int vectors) {
  __m512 sum[ROWS][4];
  UNROLL for (int r = 0; r < row_count; r++)
    UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_setzero_ps();
  for (long k = 0; k < depth; k++) {
    __m512 column[4];
    UNROLL for (int v = 0; v < vectors; v++) column[v] = _mm512_loadu_ps(columns + (k * vectors + v) * LANES);
    UNROLL for (int r = 0; r < row_count; r++) {
      const __m512 number = _mm512_set1_ps(rows[r * row_stride + k]);
      UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_fmadd_ps(number, column[v], sum[r][v]);
    }
  }
  UNROLL for (int r = 0; r < row_count; r++)
    UNROLL for (int v = 0; v < vectors; v++) {
      float *at = to + r * stride + v * LANES;
      // Added last: sums of sums are the more exact ones.
      _mm512_storeu_ps(at, adds ? _mm512_add_ps(_mm512_loadu_ps(at), sum[r][v]) : sum[r][v]);
    }
}
#endif
