import CKernels

extension Tensor {
  /// Bytes of memory that `softAssignmentSums` of n tokens to m centres takes, its results included.
  ///
  /// - Parameter width: heads · c.
  public static func softAssignmentBytes(
    tokens: Int, centres: Int, width: Int, heads: Int, summands: Int
  ) -> Int {
    let assignment = SoftAssignment(
      n: tokens, width: width, c: width / heads, m: centres, heads: heads, summands: summands,
      temperature: 1)
    let results = centres * (heads + summands * width) * MemoryLayout<Float>.stride
    return assignment.scratchBytes(threads: Parallel.threads) + results
  }

  /// The mean and the unbiased standard deviation of each column of a matrix (n, columns).
  public func columnStatistics() -> (mean: [Float], deviation: [Float]) {
    let (n, columns) = (shape[0], shape[1])
    // Each span's sums of the differences to the first row, at fixed places whatever the number of
    // threads.
    let span = 1024
    let spans = (n + span - 1) / span
    var partial = [Double](repeating: 0, count: spans * 2 * columns)
    var (mean, squares) = (
      [Double](repeating: 0, count: columns), [Double](repeating: 0, count: columns)
    )
    withValues { values in
      partial.withUnsafeMutableBufferPointer { partial in
        let (values, partial) = (Shared(values), Shared(partial))
        Parallel.ranges(of: spans) { range in
          for index in range {
            guard let start = partial.pointer.baseAddress else { return }
            let sums = start + index * 2 * columns
            kernels_exact_sums(
              values.pointer + index * span * columns, min(span, n - index * span), columns,
              values.pointer, sums, sums + columns)
          }
        }
      }
      for index in 0..<spans {
        for column in 0..<columns {
          mean[column] += partial[index * 2 * columns + column]
          squares[column] += partial[(index * 2 + 1) * columns + column]
        }
      }
      for column in 0..<columns {
        squares[column] -= mean[column] * mean[column] / Double(n)
        mean[column] = Double(values[column]) + mean[column] / Double(n)
      }
    }
    return (
      mean.map(Float.init),
      squares.map { Float((max(0, $0) / Double(max(n - 1, 1))).squareRoot()) }
    )
  }

  /// Divides each group of `size` neighbouring elements by its Euclidean norm plus `epsilon`; a
  /// group of zeros stays one.
  public func dividedByNorms(ofGroups size: Int, epsilon: Float = 0) -> Tensor {
    precondition(count % size == 0, "groups of \(size) in \(shape)")
    var result = self
    let groups = count / size
    result.withMutableValues { values in
      let values = Shared(values)
      Parallel.ranges(of: groups, atLeast: max(1, 4096 / size)) { range in
        for group in range {
          let first = values.pointer + group * size
          let norm = sumOfSquares(UnsafePointer(first), count: size).squareRoot() + epsilon
          guard norm > 0 else { continue }
          for index in 0..<size { first[index] /= norm }
        }
      }
    }
    return result
  }

  /// Assigns each token softly to the centres, z = softmax over the centres of ⟨token, centre⟩ /
  /// temperature, separately for each head, and sums over all tokens, without ever holding more of
  /// z than a tile.
  ///
  /// - Parameters:
  ///   - self: tokens, (n, heads · c).
  ///   - centres: (m, heads · c).
  ///   - summands: matrices (n, heads · c).
  /// - Returns: Σ z, (heads, m), and for each summand x the sum zᵀ x, (m, heads · c). The order of
  ///   summation does not depend on the number of threads.
  public func softAssignmentSums(
    to centres: Tensor, heads: Int, temperature: Float, summing summands: [Tensor]
  ) -> (weights: Tensor, sums: [Tensor]) {
    softAssignmentSums(
      to: centres, heads: heads, temperature: temperature, summing: summands,
      isPortable: !Processor.hasAVX512)
  }

  /// - Parameter isPortable: by the libraries' matrix products rather than by our own kernel, which
  ///   leaves out what is too little to be seen in the sums.
  func softAssignmentSums(
    to centres: Tensor, heads: Int, temperature: Float, summing summands: [Tensor],
    isPortable: Bool
  ) -> (weights: Tensor, sums: [Tensor]) {
    let (n, width, m) = (shape[0], shape[1], centres.shape[0])
    let c = width / heads
    precondition(
      centres.shape[1] == width && summands.allSatisfy { $0.shape == shape },
      "tokens \(shape), centres \(centres.shape)")
    let assignment = SoftAssignment(
      n: n, width: width, c: c, m: m, heads: heads, summands: summands.count,
      temperature: temperature)
    let partial = assignment.partialSums(self, centres, summands, isPortable: isPortable)
    let (spans, wide, partialSize) = (assignment.spans, assignment.wide, partial.shape[1])
    return partial.withValues { partial in
      var weights = Tensor(repeating: 0, shape: [heads, m])
      weights.withMutableValues { weights in
        for item in 0..<heads * spans {
          for centre in 0..<m {
            weights[item / spans * m + centre] += partial[item * partialSize + centre]
          }
        }
      }
      let sums = summands.indices.map { index in
        var sum = Tensor(repeating: 0, shape: [m, width])
        sum.withMutableValues { sum in
          for item in 0..<heads * spans {
            let from = partial + item * partialSize + m + index * m * wide
            for centre in 0..<m {
              for channel in 0..<c {
                sum[centre * width + item / spans * c + channel] += from[centre * wide + channel]
              }
            }
          }
        }
        return sum
      }
      return (weights, sums)
    }
  }
}

/// The sums over spans of tokens, which are then added up.
struct SoftAssignment {
  let n, width, c, m, heads, span: Int
  let temperature: Float
  private let summands: Int
  /// Of the portable path.
  private static let tile = 256
  /// What the spans' sums may take together, where one span for each head does not take more.
  private static let mostBytes = 512 << 20

  init(n: Int, width: Int, c: Int, m: Int, heads: Int, summands: Int, temperature: Float) {
    (self.n, self.width, self.c, self.m, self.heads) = (n, width, c, m, heads)
    (self.summands, self.temperature) = (summands, temperature)
    let bytes = heads * Self.size(m, c, summands) * MemoryLayout<Float>.stride
    // At most 64 spans a head, fewer where there are many centres: whatever the number of threads.
    let most = max(1, min(64, Self.mostBytes / bytes))
    span = max(16 * Self.tile, (n + most - 1) / most + Self.tile - 1) / Self.tile * Self.tile
  }

  var spans: Int { (n + span - 1) / span }
  /// A head's channels, rounded up to whole vectors.
  var wide: Int { Self.wide(c) }

  private static func wide(_ c: Int) -> Int { (c + 15) / 16 * 16 }

  /// Numbers of one span of a head: the weights, then each summand's sums.
  private static func size(_ m: Int, _ c: Int, _ summands: Int) -> Int {
    m + summands * m * wide(c)
  }

  /// Bytes of memory that it takes beside its operands and results.
  func scratchBytes(threads: Int, isPortable: Bool = !Processor.hasAVX512) -> Int {
    let forThread = isPortable ? min(Self.tile, n) * m : kernels_assignment_scratch(m)
    let packed = isPortable ? 0 : heads * kernels_packed_centres_count(m, c)
    return MemoryLayout<Float>.stride
      * (heads * spans * Self.size(m, c, summands) + threads * forThread + packed)
  }

  /// - Returns: (heads · spans, m + summands · m · wide): the weights, then each summand's sums.
  func partialSums(
    _ tokens: Tensor, _ centres: Tensor, _ summands: [Tensor], isPortable: Bool
  ) -> Tensor {
    let size = Self.size(m, c, summands.count)
    var partial = Tensor(uninitialized: [heads * spans, size])
    let inputs = [tokens] + summands
    let pointers = inputs.map { tensor in Shared(tensor.withValues { $0 }) }
    withExtendedLifetime(inputs) {
      partial.withMutableValues { partial in
        if isPortable {
          portably(pointers, centres, into: partial, size)
        } else {
          sparsely(pointers, centres, into: partial, size)
        }
      }
    }
    return partial
  }

  private func sparsely(
    _ inputs: [Shared<UnsafePointer<Float>>], _ centres: Tensor,
    into partial: UnsafeMutablePointer<Float>, _ size: Int
  ) {
    let packedSize = kernels_packed_centres_count(m, c)
    var packed = Tensor(uninitialized: [heads, packedSize])
    var scratch = Tensor(
      uninitialized: [Parallel.threads, kernels_assignment_scratch(m)])
    let scratchSize = scratch.shape[1]
    packed.withMutableValues { packed in
      centres.withValues { centres in
        for head in 0..<heads {
          kernels_pack_centres(centres + head * c, width, m, c, packed + head * packedSize)
        }
      }
      scratch.withMutableValues { scratch in
        let (packed, scratch, partial) = (Shared(packed), Shared(scratch), Shared(partial))
        Parallel.parts(of: heads * spans) { part, range in
          for item in range {
            let (head, first) = (item / spans, item % spans * span)
            let position = first * width + head * c
            let weights = partial.pointer + item * size
            weights.update(repeating: 0, count: size)
            let summands = inputs.dropFirst().map { Optional($0.pointer + position) }
            let sums = summands.indices.map { Optional(weights + m + $0 * m * wide) }
            var assignment = kernels_assignment()
            assignment.tokens = inputs[0].pointer + position
            assignment.token_stride = width
            assignment.token_count = min(span, n - first)
            assignment.channels = c
            assignment.centres = UnsafePointer(packed.pointer + head * packedSize)
            assignment.centre_count = m
            assignment.temperature = temperature
            assignment.weights = weights
            assignment.summand_count = summands.count
            summands.withUnsafeBufferPointer { summands in
              sums.withUnsafeBufferPointer { sums in
                assignment.summands = summands.baseAddress
                assignment.sums = sums.baseAddress
                kernels_assign_avx512(&assignment, scratch.pointer + part * scratchSize)
              }
            }
          }
        }
      }
    }
  }

  private func portably(
    _ inputs: [Shared<UnsafePointer<Float>>], _ centres: Tensor,
    into partial: UnsafeMutablePointer<Float>, _ size: Int
  ) {
    let tile = min(Self.tile, n)
    var scratch = Tensor(uninitialized: [Parallel.threads, tile * m])
    let whole = SoftmaxKernel(rows: tile, columns: m)
    let rest = SoftmaxKernel(rows: n % tile == 0 ? tile : n % tile, columns: m)
    centres.withValues { centres in
      scratch.withMutableValues { scratch in
        let (centres, partial, scratch) = (Shared(centres), Shared(partial), Shared(scratch))
        let (whole, rest) = (Shared(whole), Shared(rest))
        Parallel.parts(of: heads * spans) { part, range in
          let z = scratch.pointer + part * tile * m
          for item in range {
            let (head, first) = (item / spans, item % spans * span)
            let weights = partial.pointer + item * size
            weights.update(repeating: 0, count: size)
            for start in stride(from: first, to: min(n, first + span), by: tile) {
              let tokens = min(tile, n - start)
              let position = start * width + head * c
              multiply(
                Matrix(pointer: inputs[0].pointer + position, stride: width),
                Matrix(pointer: centres.pointer + head * c, stride: width, transposed: true),
                into: Matrix(pointer: z, stride: m), rows: tokens, inner: c, columns: m)
              // A division of the finished products, not a factor within them: the softmax of
              // numbers in the hundreds shows the last bit, and this is the reference's arithmetic.
              for index in 0..<tokens * m { z[index] /= temperature }
              (tokens == tile ? whole : rest).pointer.apply(to: z)
              for token in 0..<tokens {
                for centre in 0..<m { weights[centre] += z[token * m + centre] }
              }
              for index in 1..<inputs.count {
                multiply(
                  Matrix(pointer: UnsafePointer(z), stride: m, transposed: true),
                  Matrix(pointer: inputs[index].pointer + position, stride: width),
                  into: Matrix(pointer: weights + m + (index - 1) * m * wide, stride: wide),
                  rows: m,
                  inner: tokens, columns: c, keep: 1)
              }
            }
          }
        }
      }
    }
  }
}

/// Eight interleaved sums, then the sum of those, then what is left over.
private func sumOfSquares(_ values: UnsafePointer<Float>, count: Int) -> Float {
  var lanes = SIMD8<Float>()
  for start in stride(from: 0, to: count - 7, by: 8) {
    let part = UnsafeRawPointer(values + start).loadUnaligned(as: SIMD8<Float>.self)
    lanes += part * part
  }
  var sum = lanes[0]
  for lane in 1..<8 { sum += lanes[lane] }
  for index in count / 8 * 8..<count { sum += values[index] * values[index] }
  return sum
}
