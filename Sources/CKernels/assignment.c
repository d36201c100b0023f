// The expectation and the sums of the maximisation in one pass: at low temperatures nearly all of a token's assignment
// is one centre's, so that after the products there is little left to do.
#include "CKernels.h"

static const long group = 64;

static long grouped(long centre_count) { return (centre_count + group - 1) / group * group; }

long kernels_packed_centres_count(long centre_count, long channels) { return grouped(centre_count) * channels; }

// 64 centres side by side for each channel; those that are missing are zeros.
void kernels_pack_centres(const float *centres, long stride, long centre_count, long channels, float *packed) {
  for (long centre = 0; centre < grouped(centre_count); centre++)
    for (long channel = 0; channel < channels; channel++)
      packed[(centre / group * channels + channel) * group + centre % group] =
          centre < centre_count ? centres[centre * stride + channel] : 0;
}

long kernels_assignment_scratch(long centre_count) { return 6 * grouped(centre_count) + 2 * (grouped(centre_count) + 16); }

#if defined(__x86_64__)
#include <math.h>

#include "products.h"

// Which of `count` products count, as the centres' numbers, with their weights, whose sum is one.
INLINE_AVX512 long kept(const float *products, long count, float temperature, float *weights, int *centres) {
  __m512 best = _mm512_loadu_ps(products);
  for (long j = LANES; j < grouped(count); j += LANES) best = _mm512_max_ps(best, _mm512_loadu_ps(products + j));
  const float largest = _mm512_reduce_max_ps(best);
  const __m512 least = _mm512_set1_ps(largest - 45.0f * temperature);
  long found = 0;
  for (long j = 0; j < count; j += GROUP) {
    uint64_t mask = 0;
    UNROLL for (int v = 0; v < 4; v++)
      mask |= (uint64_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(products + j + v * LANES), least, _CMP_NLT_UQ) << (v * LANES);
    // With a NaN among the products, even those that are none.
    if (count - j < GROUP) mask &= (1ull << (count - j)) - 1;
    for (; mask; mask &= mask - 1) {
      const long centre = j + __builtin_ctzll(mask);
      centres[found] = (int)centre;
      weights[found++] = products[centre];
    }
  }
  // The finished products are divided, as the reference does: the exponential of numbers in the hundreds shows it.
  const __m512 divisor = _mm512_set1_ps(temperature), top = _mm512_set1_ps(largest / temperature);
  __m512 sum = _mm512_setzero_ps();
  for (long i = 0; i < found; i += LANES) {
    const __mmask16 mask = found - i < LANES ? (__mmask16)((1u << (found - i)) - 1) : 0xffff;
    const __m512 difference = _mm512_sub_ps(_mm512_div_ps(_mm512_loadu_ps(weights + i), divisor), top);
    const __m512 weight = exp2_avx512(_mm512_mul_ps(difference, _mm512_set1_ps(1.44269504f)));
    sum = _mm512_mask_add_ps(sum, mask, sum, weight);
    _mm512_storeu_ps(weights + i, weight);
  }
  const __m512 total = _mm512_set1_ps(_mm512_reduce_add_ps(sum));
  for (long i = 0; i < found; i += LANES) _mm512_storeu_ps(weights + i, _mm512_div_ps(_mm512_loadu_ps(weights + i), total));
  return found;
}

// Adds some channels of a token to the sums of its centres, weighted. `vectors` is a constant: they stay in registers.
INLINE_AVX512 void spread(
    const float *from, long channels, const float *weights, const int *centres, long count, float *sums, long wide,
    const int vectors) {
  __m512 x[4];
  UNROLL for (int v = 0; v < vectors; v++) {
    const long rest = channels - v * LANES;
    x[v] = _mm512_maskz_loadu_ps(rest < LANES ? (__mmask16)((1u << rest) - 1) : 0xffff, from + v * LANES);
  }
  for (long i = 0; i < count; i++) {
    const __m512 weight = _mm512_set1_ps(weights[i]);
    float *to = sums + centres[i] * wide;
    // Whole vectors into the sums, whose next reader would wait for a part of one.
    UNROLL for (int v = 0; v < vectors; v++)
      _mm512_storeu_ps(to + v * LANES, _mm512_fmadd_ps(weight, x[v], _mm512_loadu_ps(to + v * LANES)));
  }
}

AVX512 void kernels_assign_avx512(const kernels_assignment *a, float *scratch) {
  const long channels = a->channels, padded = grouped(a->centre_count);
  const long wide = (channels + LANES - 1) / LANES * LANES;
  float *scores = scratch, *weights = scratch + ROWS * padded;
  int *centres = (int *)(weights + padded + LANES);
  for (long row = 0; row < a->token_count; row += ROWS) {
    const long rows = a->token_count - row < ROWS ? a->token_count - row : ROWS;
    // The last few tokens once more with some before them, whose products are then passed over.
    const long first = a->token_count < ROWS ? 0 : row + rows - ROWS;
    if (a->token_count < ROWS) {
      for (long r = 0; r < rows; r++)
        for (long j = 0; j < padded; j++) {
          float sum = 0;
          for (long channel = 0; channel < channels; channel++)
            sum = __builtin_fmaf(
                a->tokens[r * a->token_stride + channel],
                a->centres[(j / GROUP * channels + channel) * GROUP + j % GROUP], sum);
          scores[r * padded + j] = sum;
        }
    } else {
      for (long j = 0; j < padded; j += GROUP)
        products_f32(
            a->tokens + first * a->token_stride, a->token_stride, a->centres + j * channels, channels, scores + j,
            padded, false, ROWS, 4);
    }
    // Centres that are none.
    for (long r = 0; r < ROWS && padded > a->centre_count; r++)
      for (long j = a->centre_count; j < padded; j++) scores[r * padded + j] = -INFINITY;
    for (long token = row; token < row + rows; token++) {
      const long found = kept(scores + (token - first) * padded, a->centre_count, a->temperature, weights, centres);
      for (long i = 0; i < found; i++) a->weights[centres[i]] += weights[i];
      for (long s = 0; s < a->summand_count; s++)
        for (long channel = 0; channel < wide; channel += 4 * LANES) {
          const float *from = a->summands[s] + token * a->token_stride + channel;
          float *to = a->sums[s] + channel;
          const long rest = channels - channel;
          switch ((wide - channel) / LANES) {
          case 1: spread(from, rest, weights, centres, found, to, wide, 1); break;
          case 2: spread(from, rest, weights, centres, found, to, wide, 2); break;
          case 3: spread(from, rest, weights, centres, found, to, wide, 3); break;
          default: spread(from, rest, weights, centres, found, to, wide, 4);
          }
        }
    }
  }
}
#else
void kernels_assign_avx512(const kernels_assignment *assignment, float *scratch) {}
#endif
