// Attention in blocks of keys with a running softmax (Milakov and Gimelshein, arXiv 1805.02867; Dao et al., 2205.14135):
// the scores of six queries to one block of keys are all that ever exists of the n × n.
//
// A block of keys is laid out anew, sixteen keys to a register, once for many queries. For six queries at a time follow
// the scores, their exponentials and the weighted sum of the values, all within the nearest cache.
#include "CKernels.h"

#if defined(__x86_64__)
#include "products.h"
#define AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

// Keys that are laid out at once: their keys and values stay in the second-level cache.
static long block_of(long channels) { return channels <= 160 ? 256 : 64; }

// Where the parts of the scratch memory lie. 32-bit elements; with bf16 two numbers share one.
typedef struct {
  float *queries, *output, *largest, *sum, *keys, *values, *scores;
} workspace;

static long laid_out(long query_count, long channels, float *scratch, workspace *out) {
  const long rows = rounded_up(query_count, ROWS), wide = rounded_up(channels, LANES), block = block_of(channels);
  long end = 0;
  float **parts[] = {&out->queries, &out->output, &out->largest, &out->sum, &out->keys, &out->values, &out->scores};
  const long even = channels + channels % 2;
  const long sizes[] = {rows * even, rows * wide, rows, rows, block * even, block * wide, ROWS * block};
  for (int part = 0; part < 7; part++) {
    *parts[part] = scratch + end;
    end += rounded_up(sizes[part], LANES);
  }
  return end;
}

long kernels_attention_scratch(long query_count, long channels) {
  workspace ignored;
  return laid_out(query_count, channels, 0, &ignored) * (long)sizeof(float);
}

// Takes note of six queries' largest scores so far, and gives the factors for what was summed under earlier ones.
INLINE_AVX512 void running_largest(workspace *w, long row, long block, long padded, float factors[ROWS]) {
  for (int r = 0; r < ROWS; r++) {
    const float *scores = w->scores + r * block;
    __m512 best = _mm512_loadu_ps(scores);
    for (long j = LANES; j < padded; j += LANES) best = _mm512_max_ps(best, _mm512_loadu_ps(scores + j));
    const float before = w->largest[row + r], now = _mm512_reduce_max_ps(best);
    w->largest[row + r] = now > before ? now : before;
    const float difference = before - w->largest[row + r];
    factors[r] = _mm512_cvtss_f32(exp2_avx512(_mm512_set1_ps(difference)));
  }
}

// --- 32-bit products -------------------------------------------------------------------------------------------------

// output (6, wide) = output · factors + weights (6, count) · values (count, wide), for `vectors` · 16 channels.
INLINE_AVX512 void values_f32(
    const float *weights, long stride, const float *values, long wide, long count, const float *factors,
    float *output, const int vectors) {
  __m512 sum[ROWS][4];
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int v = 0; v < vectors; v++)
      sum[r][v] = _mm512_mul_ps(_mm512_loadu_ps(output + r * wide + v * LANES), _mm512_set1_ps(factors[r]));
  for (long j = 0; j < count; j++) {
    __m512 value[4];
    UNROLL for (int v = 0; v < vectors; v++) value[v] = _mm512_loadu_ps(values + j * wide + v * LANES);
    UNROLL for (int r = 0; r < ROWS; r++) {
      const __m512 weight = _mm512_set1_ps(weights[r * stride + j]);
      UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_fmadd_ps(weight, value[v], sum[r][v]);
    }
  }
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int v = 0; v < vectors; v++) _mm512_storeu_ps(output + r * wide + v * LANES, sum[r][v]);
}

// The most even parts of at most four vectors.
#define IN_PARTS(vectors, call)                                       \
  for (long first = 0, parts = ((vectors) + 3) / 4; parts > 0; parts--) { \
    const long part = ((vectors) - first + parts - 1) / parts;        \
    const long at = first * LANES;                                    \
    if (part == 4) { call(4); }                                       \
    else if (part == 3) { call(3); }                                  \
    else if (part == 2) { call(2); }                                  \
    else { call(1); }                                                 \
    first += part;                                                    \
  }

AVX512 void kernels_attention_avx512(const kernels_attention *a, void *scratch) {
  const long channels = a->channels, wide = rounded_up(channels, LANES), block = block_of(channels);
  const long rows = rounded_up(a->query_count, ROWS);
  workspace w;
  laid_out(a->query_count, channels, scratch, &w);
  // The exponentials are powers of two: log₂ e belongs to the scale.
  const float scale = a->scale * 1.44269504f;
  for (long row = 0; row < rows; row++) {
    for (long channel = 0; channel < channels; channel++)
      w.queries[row * channels + channel] =
          row < a->query_count ? a->queries[row * a->query_stride + channel] * scale : 0;
    w.largest[row] = -3e38f, w.sum[row] = 0;
  }
  for (long i = 0; i < rows * wide; i++) w.output[i] = 0;

  for (long begin = 0; begin < a->key_count; begin += block) {
    const long count = a->key_count - begin < block ? a->key_count - begin : block;
    const long padded = rounded_up(count, GROUP);
    for (long j = 0; j < padded; j++) {
      float *to = w.keys + j / GROUP * channels * GROUP + j % GROUP;
      const float *key = a->keys + (begin + j) * a->key_stride;
      for (long channel = 0; channel < channels; channel++) to[channel * GROUP] = j < count ? key[channel] : 0;
    }
    for (long j = 0; j < count; j++) {
      const float *value = a->values + (begin + j) * a->value_stride;
      for (long channel = 0; channel < wide; channel++)
        w.values[j * wide + channel] = channel < channels ? value[channel] : 0;
    }
    for (long row = 0; row < rows; row += ROWS) {
      for (long j = 0; j < padded; j += GROUP)
        products_f32(w.queries + row * channels, channels, w.keys + j * channels, channels, w.scores + j, block);
      for (int r = 0; r < ROWS; r++)
        for (long j = count; j < padded; j++) w.scores[r * block + j] = -3e38f;
      float factors[ROWS];
      running_largest(&w, row, block, padded, factors);
      for (int r = 0; r < ROWS; r++) {
        float *scores = w.scores + r * block;
        const __m512 largest = _mm512_set1_ps(w.largest[row + r]);
        __m512 sum = _mm512_setzero_ps();
        for (long j = 0; j < padded; j += LANES) {
          const __m512 weight = exp2_avx512(_mm512_sub_ps(_mm512_loadu_ps(scores + j), largest));
          sum = _mm512_add_ps(sum, weight);
          _mm512_storeu_ps(scores + j, weight);
        }
        w.sum[row + r] = w.sum[row + r] * factors[r] + _mm512_reduce_add_ps(sum);
      }
#define VALUES(vectors) \
  values_f32(w.scores, block, w.values + at, wide, count, factors, w.output + row * wide + at, vectors)
      IN_PARTS(wide / LANES, VALUES)
    }
  }
  for (long row = 0; row < a->query_count; row++) {
    const float factor = 1 / w.sum[row];
    for (long channel = 0; channel < channels; channel++)
      a->output[row * a->output_stride + channel] = w.output[row * wide + channel] * factor;
  }
}

// --- bf16 products ---------------------------------------------------------------------------------------------------

AVX512_BF16 static inline uint32_t pair(float low, float high) {
  return (uint32_t)_mm_cvtsi128_si32((__m128i)_mm_cvtneps_pbh(_mm_set_ps(0, 0, high, low)));
}

// As `products_f32`, with pairs of channels in one element: queries (6, pairs), keys (pairs, 64).
AVX512_BF16 static inline __attribute__((always_inline)) void scores_bf16(
    const uint32_t *queries, const uint32_t *keys, long pairs, float *scores, long stride) {
  __m512 sum[ROWS][4];
  UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int v = 0; v < 4; v++) sum[r][v] = _mm512_setzero_ps();
  for (long p = 0; p < pairs; p++) {
    __m512i key[4];
    UNROLL for (int v = 0; v < 4; v++) key[v] = _mm512_loadu_si512(keys + p * GROUP + v * LANES);
    UNROLL for (int r = 0; r < ROWS; r++) {
      const __m512i query = _mm512_set1_epi32((int)queries[r * pairs + p]);
      UNROLL for (int v = 0; v < 4; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)query, (__m512bh)key[v]);
    }
  }
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int v = 0; v < 4; v++) _mm512_storeu_ps(scores + r * stride + v * LANES, sum[r][v]);
}

// As `values_f32`, with pairs of keys in one element: weights (6, pairs), values (pairs, wide).
AVX512_BF16 static inline __attribute__((always_inline)) void values_bf16(
    const uint32_t *weights, long stride, const uint32_t *values, long wide, long pairs, const float *factors,
    float *output, const int vectors) {
  __m512 sum[ROWS][4];
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int v = 0; v < vectors; v++)
      sum[r][v] = _mm512_mul_ps(_mm512_loadu_ps(output + r * wide + v * LANES), _mm512_set1_ps(factors[r]));
  for (long p = 0; p < pairs; p++) {
    __m512i value[4];
    UNROLL for (int v = 0; v < vectors; v++) value[v] = _mm512_loadu_si512(values + p * wide + v * LANES);
    UNROLL for (int r = 0; r < ROWS; r++) {
      const __m512i weight = _mm512_set1_epi32((int)weights[r * stride + p]);
      UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)weight, (__m512bh)value[v]);
    }
  }
  UNROLL for (int r = 0; r < ROWS; r++)
    UNROLL for (int v = 0; v < vectors; v++) _mm512_storeu_ps(output + r * wide + v * LANES, sum[r][v]);
}

AVX512_BF16 void kernels_attention_bf16(const kernels_attention *a, void *scratch) {
  const long channels = a->channels, wide = rounded_up(channels, LANES), block = block_of(channels);
  const long rows = rounded_up(a->query_count, ROWS), pairs = (channels + 1) / 2;
  workspace w;
  laid_out(a->query_count, channels, scratch, &w);
  uint32_t *queries = (uint32_t *)w.queries, *keys = (uint32_t *)w.keys, *values = (uint32_t *)w.values;
  const float scale = a->scale * 1.44269504f;
  for (long row = 0; row < rows; row++) {
    const float *query = a->queries + row * a->query_stride;
    for (long p = 0; p < pairs; p++)
      queries[row * pairs + p] = row < a->query_count
          ? pair(query[2 * p] * scale, 2 * p + 1 < channels ? query[2 * p + 1] * scale : 0) : 0;
    w.largest[row] = -3e38f, w.sum[row] = 0;
  }
  for (long i = 0; i < rows * wide; i++) w.output[i] = 0;

  for (long begin = 0; begin < a->key_count; begin += block) {
    const long count = a->key_count - begin < block ? a->key_count - begin : block;
    const long padded = rounded_up(count, GROUP);
    for (long j = 0; j < padded; j++) {
      uint32_t *to = keys + j / GROUP * pairs * GROUP + j % GROUP;
      const float *key = a->keys + (begin + j) * a->key_stride;
      for (long p = 0; p < pairs; p++)
        to[p * GROUP] = j < count ? pair(key[2 * p], 2 * p + 1 < channels ? key[2 * p + 1] : 0) : 0;
    }
    for (long j = 0; j < padded; j += 2) {
      const float *value = a->values + (begin + j) * a->value_stride;
      for (long channel = 0; channel < wide; channel++)
        values[j / 2 * wide + channel] = pair(
            j < count && channel < channels ? value[channel] : 0,
            j + 1 < count && channel < channels ? value[a->value_stride + channel] : 0);
    }
    for (long row = 0; row < rows; row += ROWS) {
      for (long j = 0; j < padded; j += GROUP)
        scores_bf16(queries + row * pairs, keys + j * pairs, pairs, w.scores + j, block);
      for (int r = 0; r < ROWS; r++)
        for (long j = count; j < padded; j++) w.scores[r * block + j] = -3e38f;
      float factors[ROWS];
      running_largest(&w, row, block, padded, factors);
      for (int r = 0; r < ROWS; r++) {
        float *scores = w.scores + r * block;
        const __m512 largest = _mm512_set1_ps(w.largest[row + r]);
        __m512 sum = _mm512_setzero_ps();
        for (long j = 0; j < padded; j += 2 * LANES) {
          const __m512 low = exp2_coarse_avx512(_mm512_sub_ps(_mm512_loadu_ps(scores + j), largest));
          const __m512 high = exp2_coarse_avx512(_mm512_sub_ps(_mm512_loadu_ps(scores + j + LANES), largest));
          sum = _mm512_add_ps(sum, _mm512_add_ps(low, high));
          // In place: the bf16 take half of what was read.
          _mm512_storeu_si512((uint16_t *)scores + j, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        }
        w.sum[row + r] = w.sum[row + r] * factors[r] + _mm512_reduce_add_ps(sum);
      }
#define VALUES_BF16(vectors)                                                                             \
  values_bf16(                                                                                           \
      (const uint32_t *)w.scores, block, values + at, wide, (count + 1) / 2, factors, w.output + row * wide + at, \
      vectors)
      IN_PARTS(wide / LANES, VALUES_BF16)
    }
  }
  for (long row = 0; row < a->query_count; row++) {
    const float factor = 1 / w.sum[row];
    for (long channel = 0; channel < channels; channel++)
      a->output[row * a->output_stride + channel] = w.output[row * wide + channel] * factor;
  }
}
#else
long kernels_attention_scratch(long query_count, long channels) { return 0; }
void kernels_attention_avx512(const kernels_attention *attention, void *scratch) {}
void kernels_attention_bf16(const kernels_attention *attention, void *scratch) {}
#endif
