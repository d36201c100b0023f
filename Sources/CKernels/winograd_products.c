// The products of Winograd's convolution: of transformed tiles, which come from the cache that the cores share, and of
// transformed weights, which lie in a core's own.
#include "CKernels.h"

#if defined(__x86_64__)
#include "products.h"

// While a few rows are multiplied, the next ones are fetched: every row begins anew somewhere else, where the processor's
// own guesses come late.
INLINE_AVX512 void fetch_rows(const float *rows, long stride, long count, long depth) {
  for (long row = 0; row < count; row++)
    for (long k = 0; k < depth; k += LANES) __builtin_prefetch(rows + row * stride + k);
}

INLINE_AVX512 void products_of(const kernels_tile_products *p, const int vectors) {
  const long columns = vectors * LANES;
  long lines = p->next_count / LANES;
  const float *next = p->next;
  // The most even parts of at most six rows.
  for (long first = 0, parts = (p->tile_count + ROWS - 1) / ROWS; parts > 0; parts--) {
    const long count = (p->tile_count - first + parts - 1) / parts;
    const float *rows = p->tiles + first * p->tile_stride;
    float *to = p->products + first * columns;
    const long left = p->tile_count - first - count;
    fetch_rows(rows + count * p->tile_stride, p->tile_stride, left < count ? left : count, p->depth);
    for (long line = lines / parts; line > 0; line--, lines--, next += LANES) __builtin_prefetch(next, 0, 2);
#define COUNT(count) \
  case count: products_f32(rows, p->tile_stride, p->weights, p->depth, to, columns, p->adds, count, vectors); break
    switch (count) {
      COUNT(1); COUNT(2); COUNT(3); COUNT(4); COUNT(5); COUNT(6);
    }
#undef COUNT
    first += count;
  }
}

AVX512 void kernels_tile_products_avx512(const kernels_tile_products *products) {
  switch (products->columns / LANES) {
  case 1: products_of(products, 1); break;
  case 2: products_of(products, 2); break;
  case 3: products_of(products, 3); break;
  case 4: products_of(products, 4); break;
  default: __builtin_trap();
  }
}
#else
void kernels_tile_products_avx512(const kernels_tile_products *products) {}
#endif
