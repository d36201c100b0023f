"""stemd's random numbers: the same seed and stream give the same draws here and there, so that both make the same edit.

Philox4x32-10 with a position of the stream as the counter (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011)."""

import numpy

MASK = numpy.uint64(0xFFFFFFFF)
HALF = numpy.uint64(32)


class RandomNumbers:
    def __init__(self, seed, stream):
        self.key = [seed & 0xFFFFFFFF, seed >> 32]
        # FNV-1a.
        self.stream = 0xCBF29CE484222325
        for byte in stream.encode():
            self.stream = (self.stream ^ byte) * 0x100000001B3 % 2**64

    def words(self, positions):
        """Four random words at each position, (4, positions)."""
        positions = numpy.asarray(positions, dtype=numpy.uint64)
        counter = [positions & MASK, positions >> HALF] + [
            numpy.full_like(positions, word) for word in (self.stream & 0xFFFFFFFF, self.stream >> 32)
        ]
        key = list(self.key)
        for _ in range(10):
            a, b = counter[0] * numpy.uint64(0xD2511F53), counter[2] * numpy.uint64(0xCD9E8D57)
            counter = [
                (b >> HALF) ^ counter[1] ^ numpy.uint64(key[0]),
                b & MASK,
                (a >> HALF) ^ counter[3] ^ numpy.uint64(key[1]),
                a & MASK,
            ]
            key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
        return numpy.stack(counter)

    def integer(self, below, position):
        """A whole number in 0 ..< below."""
        first, second = map(int, self.words([position])[:2, 0])
        return ((first << 32 | second) * below) >> 64

    def normal(self, shape):
        """Standard-normal numbers from the stream's start, float32, by the Box-Muller transform."""
        count = int(numpy.prod(shape))
        words = self.words(numpy.arange((count + 3) // 4)).astype(numpy.float64)
        radius = numpy.sqrt(-2 * numpy.log((words[0::2] + 1) * 2.0**-32))
        angle = 2 * numpy.pi * words[1::2] * 2.0**-32
        values = numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], axis=1)
        return values.reshape(4, -1).T.reshape(-1)[:count].astype(numpy.float32).reshape(shape)
