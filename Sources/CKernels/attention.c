// Attention in blocks of keys with a running softmax (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., 2205.14135):
// the scores of 32 queries to one block of keys are all that ever exists of the n × n.
//
// The queries lie side by side in the lanes of two registers, and what is told of keys and values is one number for all
// of them. So the largest score and the sum of the weights are found without adding up lanes, and a head's channels,
// 40 of them, leave no lane empty.
#include "CKernels.h"

#if defined(__x86_64__)
#include <string.h>

#include "exponential.h"
#include "vector.h"
#define AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

// Twelve keys or channels times two vectors of queries are summed in registers; a block's scores stay in the nearest
// cache.
enum { LANES = 16, VECTORS = 2, QUERIES = LANES * VECTORS, KEYS = 12, BLOCK = 16 * KEYS };

static const float LOG2_E = 1.44269504f;

static inline long rounded_up(long count, long multiple) { return (count + multiple - 1) / multiple * multiple; }

// Where the parts of the scratch memory lie.
typedef struct {
  float *queries, *output, *largest, *sum, *keys, *values, *scores, *row, *bias;
} workspace;

static long laid_out(long query_count, long channels, float *scratch, workspace *out) {
  const long queries = rounded_up(query_count, QUERIES);
  long end = 0;
  float **parts[] = {&out->queries, &out->output, &out->largest, &out->sum,
                     &out->keys,    &out->values, &out->scores,  &out->row,    &out->bias};
  const long sizes[] = {queries * channels, queries * channels, queries, queries,
                        BLOCK * channels,   BLOCK * channels,   BLOCK * QUERIES, channels, BLOCK};
  for (int part = 0; part < 9; part++) {
    *parts[part] = scratch + end;
    end += rounded_up(sizes[part], LANES);
  }
  return end;
}

long kernels_attention_scratch(long query_count, long channels) {
  workspace ignored;
  return laid_out(query_count, channels, 0, &ignored) * (long)sizeof(float);
}

// --- Products of 32-bit floats -----------------------------------------------------------------------------------------

AVX512 static inline void copy_row_f32(const float *from, long channels, float scale, float *to) {
  for (long channel = 0; channel < channels; channel++) to[channel] = from[channel] * scale;
}

AVX512 static inline void copy_values_f32(const float *from, long stride, long count, long channels, float *to) {
  for (long key = 0; key < count; key++) memcpy(to + key * channels, from + key * stride, (size_t)channels * 4);
}

// Scores to weights, in place, which are added to `sum`.
AVX512 static inline void weights_f32(
    float *scores, long count, const __m512 largest[VECTORS], __m512 sum[VECTORS]) {
  for (long key = 0; key < count; key++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      float *at = scores + key * QUERIES + v * LANES;
      const __m512 weight = exp2_avx512(_mm512_sub_ps(_mm512_loadu_ps(at), largest[v]));
      sum[v] = _mm512_add_ps(sum[v], weight);
      _mm512_storeu_ps(at, weight);
    }
}

#define NAME(step) step##_f32
#define TARGET AVX512
#define DEPTH(channels) (channels)
#define KEY_ROWS(count) (count)
#define MULTIPLY_ADD(sum, a, b) _mm512_fmadd_ps(a, b, sum)
#include "attention_block.h"
#undef NAME
#undef TARGET
#undef DEPTH
#undef KEY_ROWS
#undef MULTIPLY_ADD

void kernels_attention_avx512(const kernels_attention *attention, void *scratch) { attention_f32(attention, scratch); }

// --- Products of bf16 --------------------------------------------------------------------------------------------------

AVX512_BF16 static inline __mmask16 first_lanes(long count) {
  return count >= LANES ? 0xffff : (__mmask16)((1 << count) - 1);
}

// Pairs of channels.
AVX512_BF16 static inline void copy_row_bf16(const float *from, long channels, float scale, float *to) {
  const __m512 factor = _mm512_set1_ps(scale);
  for (long channel = 0; channel < channels; channel += LANES) {
    const __m512 numbers = _mm512_maskz_loadu_ps(first_lanes(channels - channel), from + channel);
    _mm256_storeu_si256(
        (__m256i *)((uint16_t *)to + channel), (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(numbers, factor)));
  }
}

AVX512_BF16 static inline __m512 paired(__m512 low, __m512 high) {
  const __m512i order = _mm512_set_epi16(
      31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16,
      0);
  return (__m512)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

// Pairs of keys, the last one with nothing where the keys are odd.
AVX512_BF16 static inline void copy_values_bf16(
    const float *from, long stride, long count, long channels, float *to) {
  for (long key = 0; key < count; key += 2)
    for (long channel = 0; channel < channels; channel += LANES) {
      const __mmask16 mask = first_lanes(channels - channel);
      const float *at = from + key * stride + channel;
      const __m512 low = _mm512_maskz_loadu_ps(mask, at);
      const __m512 high = _mm512_maskz_loadu_ps(key + 1 < count ? mask : 0, at + stride);
      _mm512_mask_storeu_ps(to + key / 2 * channels + channel, mask, paired(low, high));
    }
}

// As `weights_f32`, to pairs of keys, which take half of what was read.
AVX512_BF16 static inline void weights_bf16(
    float *scores, long count, const __m512 largest[VECTORS], __m512 sum[VECTORS]) {
  for (long key = 0; key < count; key += 2)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      const float *at = scores + key * QUERIES + v * LANES;
      const __m512 low = exp2_coarse_avx512(_mm512_sub_ps(_mm512_loadu_ps(at), largest[v]));
      __m512 high = _mm512_setzero_ps();
      if (key + 1 < count) high = exp2_coarse_avx512(_mm512_sub_ps(_mm512_loadu_ps(at + QUERIES), largest[v]));
      sum[v] = _mm512_add_ps(sum[v], _mm512_add_ps(low, high));
      _mm512_storeu_ps(scores + key / 2 * QUERIES + v * LANES, paired(low, high));
    }
}

#define NAME(step) step##_bf16
#define TARGET AVX512_BF16
#define DEPTH(channels) (((channels) + 1) / 2)
#define KEY_ROWS(count) (((count) + 1) / 2)
#define MULTIPLY_ADD(sum, a, b) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))
#include "attention_block.h"

void kernels_attention_bf16(const kernels_attention *attention, void *scratch) { attention_bf16(attention, scratch); }
#else
long kernels_attention_scratch(long query_count, long channels) { return 0; }
void kernels_attention_avx512(const kernels_attention *attention, void *scratch) {}
void kernels_attention_bf16(const kernels_attention *attention, void *scratch) {}
#endif
