// What happens to a row of numbers between two products.
#include <math.h>

#include "CKernels.h"
#include "vector.h"

// eˣ for sixteen floats, whatever the processor: 2ᶠ by its series, and the exponent put where a float has it. Below -87
// it is e⁻⁸⁷, which nothing here tells from nothing, and above 87 infinite; a NaN stays one.
static inline __attribute__((always_inline)) void exponential(const floats *x, floats *result) {
  floats t = *x * 1.44269504f;
  const ints isHuge = t > 126.0f;
  t = __builtin_elementwise_max(t, (floats){0} - 125.0f);
  t = __builtin_elementwise_min(t, (floats){0} + 126.0f);
  // Adding 1.5 · 2²³ rounds to a whole number.
  const floats shifted = t + 12582912.0f, n = shifted - 12582912.0f, f = t - n;
  floats p = f * 1.5252734e-5f + 1.5403530e-4f;
  p = p * f + 1.3333558e-3f;
  p = p * f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  const ints exponent = ((ints)shifted - (ints)((floats){0} + 12582912.0f)) << 23;
  const ints isNumber = *x == *x, infinity = (ints)((floats){0} + INFINITY);
  *result = (floats)((((ints)p + exponent) & isNumber & ~isHuge) | (infinity & isHuge) | ((ints)*x & ~isNumber));
}

PORTABLE(void, kernels_to_bfloat16, (const float *from, uint16_t *to, long count), (from, to, count)) {
  const uint32_t *bits = (const uint32_t *)from;
  for (long i = 0; i < count; i++) {
    const uint32_t b = bits[i];
    const uint32_t rounded = (b + 0x7fff + (b >> 16 & 1)) >> 16;
    // Rounding must not turn a NaN into an infinity.
    to[i] = (uint16_t)((b & 0x7fffffff) > 0x7f800000 ? b >> 16 | 0x40 : rounded);
  }
}

PORTABLE(
    void, kernels_scale_shift,
    (const float *from, float *to, long rows, long channels, const float *scale, const float *shift, bool silu),
    (from, to, rows, channels, scale, shift, silu)) {
  for (long row = 0; row < rows; row++) {
    const float *source = from + row * channels;
    float *target = to + row * channels;
    long channel = 0;
    for (; channel + 16 <= channels; channel += 16) {
      floats x = LOAD(source + channel) * LOAD(scale + channel) + LOAD(shift + channel);
      if (silu) {
        floats minus = -x, power;
        exponential(&minus, &power);
        x = x / (1 + power);
      }
      STORE(target + channel, x);
    }
    for (; channel < channels; channel++) {
      const float x = source[channel] * scale[channel] + shift[channel];
      target[channel] = silu ? x / (1 + expf(-x)) : x;
    }
  }
}

PORTABLE(
    void, kernels_sums,
    (const float *from, long rows, long channels, const float *origin, float *sums, float *squares),
    (from, rows, channels, origin, sums, squares)) {
  for (long row = 0; row < rows; row++)
    for (long channel = 0; channel < channels; channel++) {
      const float difference = from[row * channels + channel] - origin[channel];
      sums[channel] += difference;
      squares[channel] += difference * difference;
    }
}

PORTABLE(
    void, kernels_exact_sums,
    (const float *from, long rows, long channels, const float *origin, double *sums, double *squares),
    (from, rows, channels, origin, sums, squares)) {
  for (long row = 0; row < rows; row++)
    for (long channel = 0; channel < channels; channel++) {
      const double difference = (double)from[row * channels + channel] - (double)origin[channel];
      sums[channel] += difference;
      squares[channel] += difference * difference;
    }
}

PORTABLE(
    void, kernels_layer_norm,
    (const float *from, float *to, long rows, long channels, const float *weight, const float *bias, float epsilon),
    (from, to, rows, channels, weight, bias, epsilon)) {
  for (long row = 0; row < rows; row++) {
    const float *source = from + row * channels;
    float *target = to + row * channels;
    const long vectors = channels / 16 * 16;
    floats sums = {0};
    float sum = 0;
    for (long channel = 0; channel < vectors; channel += 16) sums += LOAD(source + channel);
    for (long channel = vectors; channel < channels; channel++) sum += source[channel];
    for (int lane = 0; lane < 16; lane++) sum += sums[lane];
    const float mean = sum / (float)channels;
    floats squares = {0};
    float square = 0;
    for (long channel = 0; channel < vectors; channel += 16) {
      const floats difference = LOAD(source + channel) - mean;
      squares += difference * difference;
    }
    for (long channel = vectors; channel < channels; channel++)
      square += (source[channel] - mean) * (source[channel] - mean);
    for (int lane = 0; lane < 16; lane++) square += squares[lane];
    const float factor = 1 / sqrtf(square / (float)channels + epsilon);
    for (long channel = 0; channel < channels; channel++)
      target[channel] = (source[channel] - mean) * factor * weight[channel] + bias[channel];
  }
}

// The error function on |x| ≤ 4, beyond which a float does not tell it from ±1: x P(x²) / Q(x²), fitted to a relative
// error of 2.5e-8 at all of them.
static inline __attribute__((always_inline)) void error_function(const floats *value, floats *result) {
  floats x = *value;
  x = __builtin_elementwise_max(x, (floats){0} - 4.0f);
  x = __builtin_elementwise_min(x, (floats){0} + 4.0f);
  const floats s = x * x;
  floats p = s * 1.98676586e-6f + 2.84566496e-4f;
  p = p * s + 3.88339399e-3f;
  p = p * s + 5.31018978e-2f;
  p = p * s + 0.1935463f;
  p = p * s + 1.12837914f;
  floats q = s * 3.74200353e-5f + 1.18558229e-3f;
  q = q * s + 1.52073515e-2f;
  q = q * s + 0.115350501f;
  q = q * s + 0.504858498f;
  q = q * s + 1.0f;
  // At the ends the quotient is a rounding error from ±1, which a large number would multiply.
  const ints inside = (x > -4.0f) & (x < 4.0f);
  const floats erf = x * p / q, sign = x * 0.25f;
  *result = (floats)(((ints)erf & inside) | ((ints)sign & ~inside));
}

PORTABLE(void, kernels_geglu, (const float *from, float *to, long rows, long channels), (from, to, rows, channels)) {
  for (long row = 0; row < rows; row++) {
    const float *value = from + row * 2 * channels, *gate = value + channels;
    float *target = to + row * channels;
    long channel = 0;
    for (; channel + 16 <= channels; channel += 16) {
      const floats x = LOAD(gate + channel);
      floats scaled = x * 0.70710678f, erf;
      error_function(&scaled, &erf);
      STORE(target + channel, LOAD(value + channel) * (0.5f * x * (1 + erf)));
    }
    for (; channel < channels; channel++)
      target[channel] = value[channel] * (0.5f * gate[channel] * (1 + erff(gate[channel] * 0.70710678f)));
  }
}
