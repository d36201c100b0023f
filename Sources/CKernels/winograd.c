// The transforms of F(4×4, 3×3) with the points 0, ±1, ±2 and ∞ (Lavin and Gray, arXiv 1509.09308).
#include "CKernels.h"
#include "vector.h"

// One dimension of each transform, on vectors.
#define INPUT(d0, d1, d2, d3, d4, d5, o0, o1, o2, o3, o4, o5)   \
  do {                                                          \
    floats a = (d4)-4 * (d2), b = (d3)-4 * (d1);                \
    floats c = (d4) - (d2), e = 2 * ((d3) - (d1));              \
    o0 = 4 * (d0)-5 * (d2) + (d4);                              \
    o1 = a + b, o2 = a - b, o3 = c + e, o4 = c - e;             \
    o5 = 4 * (d1)-5 * (d3) + (d5);                              \
  } while (0)

#define WEIGHTS(g0, g1, g2, o0, o1, o2, o3, o4, o5)                      \
  do {                                                                   \
    floats a = (g0) + (g2), b = (g0) + 4 * (g2);                         \
    o0 = (g0)*0.25f;                                                     \
    o1 = (a + (g1)) * (-1.0f / 6), o2 = (a - (g1)) * (-1.0f / 6);        \
    o3 = (b + 2 * (g1)) * (1.0f / 24), o4 = (b - 2 * (g1)) * (1.0f / 24); \
    o5 = (g2);                                                           \
  } while (0)

#define OUTPUT(m0, m1, m2, m3, m4, m5, o0, o1, o2, o3)                   \
  do {                                                                   \
    floats a = (m1) + (m2), b = (m1) - (m2);                             \
    floats c = (m3) + (m4), d = (m3) - (m4);                             \
    o0 = (m0) + a + c, o1 = b + 2 * d, o2 = a + 4 * c, o3 = b + 8 * d + (m5); \
  } while (0)

PORTABLE(
    void, kernels_winograd_input,
    (const float *picture, long height, long width, long channels, long y, long x, float *transformed, long step),
    (picture, height, width, channels, y, x, transformed, step)) {
  const bool inside = y >= 0 && x >= 0 && y + 6 <= height && x + 6 <= width;
  for (long channel = 0; channel < channels; channel += 16) {
    floats half[6][6];
    UNROLL for (int column = 0; column < 6; column++) {
      floats d[6];
      UNROLL for (int row = 0; row < 6; row++) {
        const long Y = y + row, X = x + column;
        if (inside || (Y >= 0 && X >= 0 && Y < height && X < width))
          d[row] = LOAD(picture + (Y * width + X) * channels + channel);
        else
          d[row] = (floats){0};
      }
      INPUT(
          d[0], d[1], d[2], d[3], d[4], d[5], half[0][column], half[1][column], half[2][column], half[3][column],
          half[4][column], half[5][column]);
    }
    UNROLL for (int row = 0; row < 6; row++) {
      const floats *d = half[row];
      floats o[6];
      INPUT(d[0], d[1], d[2], d[3], d[4], d[5], o[0], o[1], o[2], o[3], o[4], o[5]);
      UNROLL for (int column = 0; column < 6; column++)
        STORE(transformed + (row * 6 + column) * step + channel, o[column]);
    }
  }
}

PORTABLE(
    void, kernels_winograd_weights,
    (const float *weights, long input_channels, float *transformed, long stride, long step),
    (weights, input_channels, transformed, stride, step)) {
  for (long channel = 0; channel < input_channels; channel++) {
    const float *g = weights + channel * 9 * 16;
    // They come from memory, each once, and the processor's own guesses hold up the stores.
    UNROLL for (int tap = 0; tap < 9; tap++) __builtin_prefetch(g + (8 * 9 + tap) * 16);
    floats half[6][3];
    UNROLL for (int column = 0; column < 3; column++) {
      floats g0 = LOAD(g + column * 16), g1 = LOAD(g + (3 + column) * 16), g2 = LOAD(g + (6 + column) * 16);
      WEIGHTS(
          g0, g1, g2, half[0][column], half[1][column], half[2][column], half[3][column], half[4][column],
          half[5][column]);
    }
    UNROLL for (int row = 0; row < 6; row++) {
      floats o[6];
      WEIGHTS(half[row][0], half[row][1], half[row][2], o[0], o[1], o[2], o[3], o[4], o[5]);
      UNROLL for (int column = 0; column < 6; column++)
        STORE(transformed + (row * 6 + column) * step + channel * stride, o[column]);
    }
  }
}

PORTABLE(
    void, kernels_winograd_output,
    (const float *products, long step, long channels, const float *bias, float *picture, long height, long width,
     long stride, long y, long x),
    (products, step, channels, bias, picture, height, width, stride, y, x)) {
  const long rows = height - y < 4 ? height - y : 4, columns = width - x < 4 ? width - x : 4;
  for (long channel = 0; channel < channels; channel += 16) {
    floats half[4][6];
    const floats shift = LOAD(bias + channel);
    UNROLL for (int column = 0; column < 6; column++) {
      const float *m = products + column * step + channel;
      floats m0 = LOAD(m), m1 = LOAD(m + 6 * step), m2 = LOAD(m + 12 * step), m3 = LOAD(m + 18 * step),
             m4 = LOAD(m + 24 * step), m5 = LOAD(m + 30 * step);
      OUTPUT(m0, m1, m2, m3, m4, m5, half[0][column], half[1][column], half[2][column], half[3][column]);
    }
    UNROLL for (int row = 0; row < 4; row++) {
      const floats *m = half[row];
      floats o[4];
      OUTPUT(m[0], m[1], m[2], m[3], m[4], m[5], o[0], o[1], o[2], o[3]);
      float *to = picture + ((y + row) * width + x) * stride + channel;
      UNROLL for (int column = 0; column < 4; column++)
        if (row < rows && column < columns) STORE(to + column * stride, o[column] + shift);
    }
  }
}
