// Attention's steps for one kind of product; attention.c includes this once for products of 32-bit floats and once for
// those of bf16, and defines before:
//
// NAME(step)              a step's name for this kind
// TARGET                  the instructions that it may use
// DEPTH(channels)         how many 32-bit elements a row of channels takes: with bf16 two numbers share one
// KEY_ROWS(count)         how many rows of values so many keys take: with bf16 two keys' values share one
// MULTIPLY_ADD(sum, a, b) the products of two vectors of elements, added to a vector of 32-bit sums
// COPY_ROW, COPY_VALUES, WEIGHTS: what is given in attention.c for each kind

#define INLINE TARGET static inline __attribute__((always_inline))

// Scores of twelve keys, laid out (depth, 12), for 32 queries, laid out (depth, 32); takes note of the largest of each
// query.
INLINE void NAME(scores)(
    const float *keys, const float *bias, const float *queries, long depth, float *scores, __m512 largest[VECTORS]) {
  __m512 sum[KEYS][VECTORS];
  UNROLL for (int k = 0; k < KEYS; k++)
    UNROLL for (int v = 0; v < VECTORS; v++) sum[k][v] = _mm512_set1_ps(bias[k]);
  for (long d = 0; d < depth; d++) {
    __m512 query[VECTORS];
    UNROLL for (int v = 0; v < VECTORS; v++) query[v] = _mm512_loadu_ps(queries + d * QUERIES + v * LANES);
    UNROLL for (int k = 0; k < KEYS; k++) {
      const __m512 key = _mm512_set1_ps(keys[d * KEYS + k]);
      UNROLL for (int v = 0; v < VECTORS; v++) sum[k][v] = MULTIPLY_ADD(sum[k][v], key, query[v]);
    }
  }
  UNROLL for (int k = 0; k < KEYS; k++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      _mm512_storeu_ps(scores + k * QUERIES + v * LANES, sum[k][v]);
      largest[v] = _mm512_max_ps(largest[v], sum[k][v]);
    }
}

// output (width, 32) = output · factors + valuesᵀ · weights (rows, 32), for `width` of the channels.
INLINE void NAME(sums)(
    const float *weights, const float *values, long channels, long rows, const __m512 factors[VECTORS], float *output,
    const int width) {
  __m512 sum[KEYS][VECTORS];
  UNROLL for (int c = 0; c < width; c++)
    UNROLL for (int v = 0; v < VECTORS; v++)
      sum[c][v] = _mm512_mul_ps(_mm512_loadu_ps(output + c * QUERIES + v * LANES), factors[v]);
  for (long row = 0; row < rows; row++) {
    __m512 weight[VECTORS];
    UNROLL for (int v = 0; v < VECTORS; v++) weight[v] = _mm512_loadu_ps(weights + row * QUERIES + v * LANES);
    UNROLL for (int c = 0; c < width; c++) {
      const __m512 value = _mm512_set1_ps(values[row * channels + c]);
      UNROLL for (int v = 0; v < VECTORS; v++) sum[c][v] = MULTIPLY_ADD(sum[c][v], value, weight[v]);
    }
  }
  UNROLL for (int c = 0; c < width; c++)
    UNROLL for (int v = 0; v < VECTORS; v++) _mm512_storeu_ps(output + c * QUERIES + v * LANES, sum[c][v]);
}

TARGET static void NAME(sums_of)(
    const float *weights, const float *values, long channels, long rows, const __m512 factors[VECTORS], float *output,
    long width) {
#define WIDTH(count) \
  case count: NAME(sums)(weights, values, channels, rows, factors, output, count); break
  switch (width) {
    WIDTH(1); WIDTH(2); WIDTH(3); WIDTH(4); WIDTH(5); WIDTH(6); WIDTH(7); WIDTH(8); WIDTH(9); WIDTH(10); WIDTH(11);
    WIDTH(12);
  }
#undef WIDTH
}

// One block of keys, laid out in the workspace, for 32 queries.
TARGET static void NAME(tile)(const workspace *w, long tile, long channels, long count) {
  const long depth = DEPTH(channels);
  const float *queries = w->queries + tile * depth * QUERIES;
  float *output = w->output + tile * channels * QUERIES;
  __m512 before[VECTORS], largest[VECTORS], factors[VECTORS], sum[VECTORS];
  UNROLL for (int v = 0; v < VECTORS; v++)
    largest[v] = before[v] = _mm512_loadu_ps(w->largest + tile * QUERIES + v * LANES);
  for (long key = 0; key < count; key += KEYS)
    NAME(scores)(w->keys + key * depth, w->bias + key, queries, depth, w->scores + key * QUERIES, largest);
  UNROLL for (int v = 0; v < VECTORS; v++) {
    _mm512_storeu_ps(w->largest + tile * QUERIES + v * LANES, largest[v]);
    // For what was summed under a smaller one.
    factors[v] = exp2_avx512(_mm512_sub_ps(before[v], largest[v]));
    sum[v] = _mm512_setzero_ps();
  }
  NAME(weights)(w->scores, count, largest, sum);
  UNROLL for (int v = 0; v < VECTORS; v++) {
    float *kept = w->sum + tile * QUERIES + v * LANES;
    _mm512_storeu_ps(kept, _mm512_fmadd_ps(_mm512_loadu_ps(kept), factors[v], sum[v]));
  }
  // The most even parts of at most twelve channels.
  for (long first = 0, parts = (channels + KEYS - 1) / KEYS; parts > 0; parts--) {
    const long width = (channels - first + parts - 1) / parts;
    NAME(sums_of)(
        w->scores, w->values + first, channels, KEY_ROWS(count), factors, output + first * QUERIES, width);
    first += width;
  }
}

TARGET static void NAME(attention)(const kernels_attention *a, float *scratch) {
  const long channels = a->channels, depth = DEPTH(channels);
  const long tiles = (a->query_count + QUERIES - 1) / QUERIES;
  workspace w;
  laid_out(a->query_count, channels, scratch, &w);
  // The exponentials are powers of two: log₂ e belongs to the scale.
  const float scale = a->scale * LOG2_E;
  for (long q = 0; q < tiles * QUERIES; q++) {
    float *to = w.queries + q / QUERIES * depth * QUERIES + q % QUERIES;
    // What fills up the last tile is anyone's.
    const long query = q < a->query_count ? q : a->query_count - 1;
    NAME(copy_row)(a->queries + query * a->query_stride, channels, scale, w.row);
    for (long d = 0; d < depth; d++) to[d * QUERIES] = w.row[d];
    w.largest[q] = -3e38f, w.sum[q] = 0;
  }
  for (long i = 0; i < tiles * channels * QUERIES; i++) w.output[i] = 0;

  for (long begin = 0; begin < a->key_count; begin += BLOCK) {
    const long count = a->key_count - begin < BLOCK ? a->key_count - begin : BLOCK;
    for (long k = 0; k < rounded_up(count, KEYS); k++) {
      float *to = w.keys + k / KEYS * depth * KEYS + k % KEYS;
      // What fills up the last twelve must not change which score is the largest.
      const long key = begin + (k < count ? k : count - 1);
      NAME(copy_row)(a->keys + key * a->key_stride, channels, 1, w.row);
      for (long d = 0; d < depth; d++) to[d * KEYS] = w.row[d];
      w.bias[k] = a->bias[key] * LOG2_E;
    }
    NAME(copy_values)(a->values + begin * a->value_stride, a->value_stride, count, channels, w.values);
    for (long tile = 0; tile < tiles; tile++) NAME(tile)(&w, tile, channels, count);
  }

  for (long query = 0; query < a->query_count; query++) {
    const float *from = w.output + query / QUERIES * channels * QUERIES + query % QUERIES;
    const float factor = 1 / w.sum[query];
    for (long channel = 0; channel < channels; channel++)
      a->output[query * a->output_stride + channel] = from[channel * QUERIES] * factor;
  }
}

#undef INLINE
