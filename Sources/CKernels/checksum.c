// Sums that are as fast as memory: sixteen lanes, each a row of multiplications that can be undone.
#include <string.h>

#include "CKernels.h"
#include "vector.h"

typedef uint32_t words __attribute__((vector_size(64), aligned(1)));

PORTABLE(uint64_t, kernels_checksum, (const void *bytes, long count), (bytes, count)) {
  const unsigned char *from = bytes;
  words lanes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  long position = 0;
  for (; position + 64 <= count; position += 64) lanes = (lanes ^ *(const words *)(from + position)) * 0x9e3779b1u;
  unsigned char rest[64] = {0};
  memcpy(rest, from + position, (size_t)(count - position));
  lanes = (lanes ^ *(const words *)rest) * 0x9e3779b1u;
  uint64_t sum = (uint64_t)count;
  for (int lane = 0; lane < 16; lane++) sum = (sum ^ lanes[lane]) * 0x100000001b3ull;
  return sum;
}
