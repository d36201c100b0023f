// The innermost loops of the engine, in C because they choose the processor's vector instructions when the program
// runs, which Swift cannot do a function at a time. Everything around them (shapes, threads, memory) is Swift's.
//
// All numbers are 32-bit floats; counts and strides are in elements. None of the functions uses more than one thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// --- What this processor has ---------------------------------------------------------------------------------------

/// Whether the functions named `…_avx512` may be called: neither the processor nor oneDNN's environment
/// (`ONEDNN_MAX_CPU_ISA`) forbids it.
bool kernels_have_avx512(void);
/// Whether, besides, the functions named `…_bf16` may be called.
bool kernels_have_bf16(void);

/// Vector instructions for which all other functions have a form; `kernels_any` are those of every processor.
typedef enum { kernels_any, kernels_avx2, kernels_avx512 } kernels_set;
/// The form that they take, the best that may be.
kernels_set kernels_instructions(void);

// --- Attention (attention.c) ---------------------------------------------------------------------------------------

/// One head's attention of some queries to all keys: softmax(q kᵀ · scale + bias) v.
typedef struct {
  const float *queries, *keys, *values;
  float *output;
  /// From one token to the next.
  long query_stride, key_stride, value_stride, output_stride;
  long query_count, key_count, channels;
  float scale;
  /// (keys): is added to each key's scores.
  const float *bias;
} kernels_attention;

/// The scratch memory that a call with these sizes needs, in bytes; the caller aligns it to 64.
long kernels_attention_scratch(long query_count, long channels);
void kernels_attention_avx512(const kernels_attention *attention, void *scratch);
/// Products of bf16, summed in 32 bits; the softmax in 32 bits.
void kernels_attention_bf16(const kernels_attention *attention, void *scratch);

// --- Soft assignment (assignment.c) --------------------------------------------------------------------------------

/// Assigns tokens to centres, z = softmax over the centres of ⟨token, centre⟩ / temperature, and adds up what they bring.
typedef struct {
  const float *tokens;
  long token_stride, token_count, channels;
  /// As `kernels_pack_centres` laid them out.
  const float *centres;
  long centre_count;
  float temperature;
  /// (centres): Σ z is added to it.
  float *weights;
  /// For each summand x, laid out as the tokens are, zᵀ x is added to (centres, channels rounded up to 16).
  long summand_count;
  const float *const *summands;
  float *const *sums;
} kernels_assignment;

/// In elements.
long kernels_packed_centres_count(long centre_count, long channels);
void kernels_pack_centres(const float *centres, long stride, long centre_count, long channels, float *packed);
/// In elements.
long kernels_assignment_scratch(long centre_count);
/// Assignments of less than e⁻⁴⁵ of a token's largest one are left out. Those of greater weight may be all that a centre
/// has that is nobody's first, whose sum, however small, is divided by its weight plus 1e-4 and then by its norm plus
/// 1e-4 to become a centre again: 80,000 tokens of e⁻⁴⁵ come to some 1e-6 by then.
void kernels_assign_avx512(const kernels_assignment *assignment, float *scratch);

// --- Winograd's convolution, F(4×4, 3×3) (winograd.c, winograd_products.c) ---------------------------------------------

/// Bᵀ d B of the 6×6 pixels from (y, x) on, which may lie outside of the picture (height, width, channels), where zeros
/// are. Element i of a pixel's 36 goes to `transformed + i · step`. `channels` is a multiple of 16.
void kernels_winograd_input(
    const float *picture, long height, long width, long channels, long y, long x, float *transformed, long step);
/// G g Gᵀ for 16 output channels: weights (input channels, 9, 16) to 36 matrices (input channels, stride), `step` apart.
void kernels_winograd_weights(const float *weights, long input_channels, float *transformed, long stride, long step);
/// One of the 36 products: products (tile_count, columns) = tiles (tile_count, depth) · weights (depth, columns), added to what
/// is there where `adds`. `columns` is 16, 32, 48 or 64.
typedef struct {
  const float *tiles;
  /// From one tile to the next.
  long tile_stride;
  const float *weights;
  float *products;
  long tile_count, depth, columns;
  bool adds;
  /// What is to be read soon, and brought into the cache meanwhile: so many elements from there on.
  const float *next;
  long next_count;
} kernels_tile_products;

void kernels_tile_products_avx512(const kernels_tile_products *products);
/// Aᵀ m A plus bias for `channels` (a multiple of 16) of one 4×4 tile at (y, x) of a picture (height, width, stride);
/// pixels outside of it are left out.
void kernels_winograd_output(
    const float *products, long step, long channels, const float *bias, float *picture, long height, long width,
    long stride, long y, long x);

// --- Between the products (elementwise.c) ----------------------------------------------------------------------------

/// Rows of 32-bit floats to rows of bf16, rounded to nearest even.
void kernels_to_bfloat16(const float *from, uint16_t *to, long count);
/// to = x · scale + shift for rows of channels, then x · sigmoid(x) where `silu`; of minus infinity that is no number.
void kernels_scale_shift(
    const float *from, float *to, long rows, long channels, const float *scale, const float *shift, bool silu);
/// Adds each channel's differences to `origin` to `sums`, and their squares to `squares`.
void kernels_sums(
    const float *from, long rows, long channels, const float *origin, float *sums, float *squares);
/// The same in 64 bits.
void kernels_exact_sums(
    const float *from, long rows, long channels, const float *origin, double *sums, double *squares);
/// Layer normalisation of rows.
void kernels_layer_norm(
    const float *from, float *to, long rows, long channels, const float *weight, const float *bias, float epsilon);
/// Rows (2 · channels) to (channels): the first half times the exact GELU of the second.
void kernels_geglu(const float *from, float *to, long rows, long channels);

// --- Files (checksum.c) ------------------------------------------------------------------------------------------------

/// Any changed byte changes it; it is no defence against somebody who wants a collision. `count` is in bytes.
uint64_t kernels_checksum(const void *bytes, long count);
