import CKernels

extension Tensor {
  /// Scaled dot-product attention over heads that lie side by side in the last dimension: softmax(q
  /// kᵀ · scale + bias) v.
  ///
  /// - Parameters:
  ///   - queries: (batch, n, heads · c).
  ///   - keys, values: (batch or 1, m, heads · c); a batch of 1 serves every row of the queries.
  ///   - scale: 1 / √c by default.
  ///   - bias: (heads, m), for each key.
  ///   - causal: a query sees only the keys at its own position and before; in full precision.
  ///   - precision: of the products; the softmax is always in 32 bits.
  /// - Returns: (batch, n, heads · c).
  ///
  /// Scores exist for a tile of queries at a time, never for a whole layer.
  public static func attention(
    queries: Tensor, keys: Tensor, values: Tensor, heads: Int, scale: Float? = nil,
    bias: Tensor? = nil, causal: Bool = false, precision: Precision = .full
  ) -> Tensor {
    attention(
      queries: queries, keys: keys, values: values, heads: heads, scale: scale, bias: bias,
      causal: causal, kernel: causal || !Processor.hasAVX512 ? .portable : .avx512(precision))
  }

  enum AttentionKernel {
    /// By the libraries' matrix products.
    case portable
    /// By our own, with a running softmax; mixed where the processor has bf16.
    case avx512(Precision)
  }

  static func attention(
    queries: Tensor, keys: Tensor, values: Tensor, heads: Int, scale: Float? = nil,
    bias: Tensor? = nil, causal: Bool = false, kernel: AttentionKernel
  ) -> Tensor {
    let (batch, n, width) = (queries.shape[0], queries.shape[1], queries.shape[2])
    let (shared, m) = (keys.shape[0] == 1, keys.shape[1])
    precondition(
      width % heads == 0 && keys.shape == values.shape && keys.shape[2] == width
        && (shared || keys.shape[0] == batch),
      "attention of \(queries.shape) to \(keys.shape) and \(values.shape) with \(heads) heads")
    precondition(bias.map { $0.shape == [heads, m] } ?? true, "\(heads) heads, \(m) keys")
    let c = width / heads
    let scale = scale ?? 1 / Float(c).squareRoot()
    var output = Tensor(uninitialized: queries.shape)
    guard output.count > 0 else { return output }
    if case .avx512(let precision) = kernel {
      attendByBlocks(
        queries, keys, values, heads: heads, scale: scale, bias: bias, precision: precision,
        into: &output)
      return output
    }
    // Tiles whose scores stay in the second-level cache, but not so few rows that the matrix
    // product starves.
    let tile = min(n, max(32, (1 << 17) / m))
    let tiles = (n + tile - 1) / tile
    var scratch = Tensor(uninitialized: [Parallel.threads, tile * m])
    let whole = SoftmaxKernel(rows: tile, columns: m)
    let last = SoftmaxKernel(rows: n - (tiles - 1) * tile, columns: m)
    queries.withValues { queries in
      keys.withValues { keys in
        values.withValues { values in
          output.withMutableValues { output in
            scratch.withMutableValues { scratch in
              let (queries, keys, values) = (Shared(queries), Shared(keys), Shared(values))
              let (output, scratch, whole, last) = (
                Shared(output), Shared(scratch), Shared(whole), Shared(last)
              )
              Parallel.parts(of: batch * heads * tiles) { part, range in
                let scores = scratch.pointer + part * tile * m
                for item in range {
                  let (row, head, index) = (
                    item / (heads * tiles), item / tiles % heads, item % tiles
                  )
                  let first = index * tile
                  let count = min(tile, n - first)
                  let position = (row * n + first) * width + head * c
                  let other = (shared ? 0 : row * m * width) + head * c
                  multiply(
                    Matrix(pointer: queries.pointer + position, stride: width),
                    Matrix(pointer: keys.pointer + other, stride: width, transposed: true),
                    into: Matrix(pointer: scores, stride: m), rows: count, inner: c, columns: m,
                    scale: scale)
                  bias?.withValues { bias in
                    for query in 0..<count {
                      for key in 0..<m { scores[query * m + key] += bias[head * m + key] }
                    }
                  }
                  if causal {
                    for query in 0..<count where first + query + 1 < m {
                      (scores + query * m + first + query + 1).update(
                        repeating: -.greatestFiniteMagnitude, count: m - first - query - 1)
                    }
                  }
                  (index == tiles - 1 ? last : whole).pointer.apply(to: scores)
                  multiply(
                    Matrix(pointer: UnsafePointer(scores), stride: m),
                    Matrix(pointer: values.pointer + other, stride: width),
                    into: Matrix(pointer: output.pointer + position, stride: width), rows: count,
                    inner: m, columns: c)
                }
              }
            }
          }
        }
      }
    }
    return output
  }

  private static func attendByBlocks(
    _ queries: Tensor, _ keys: Tensor, _ values: Tensor, heads: Int, scale: Float,
    bias: Tensor?, precision: Precision, into output: inout Tensor
  ) {
    let (batch, n, width) = (queries.shape[0], queries.shape[1], queries.shape[2])
    let (shared, m, c) = (keys.shape[0] == 1, keys.shape[1], width / heads)
    // As many queries as the laying out of a block of keys is to serve, but some work for everyone.
    let threads = Parallel.threads
    var tiles = (n + 1023) / 1024
    while batch * heads * tiles < 4 * threads, n / tiles > 96 { tiles *= 2 }
    let tile = (n + tiles - 1) / tiles
    let isMixed = precision == .mixed && Processor.hasBFloat16
    let size = (kernels_attention_scratch(tile, c) + 3) / 4
    var scratch = Tensor(uninitialized: [threads, size])
    let bias = bias ?? Tensor(repeating: 0, shape: [heads, m])
    queries.withValues { queries in
      keys.withValues { keys in
        values.withValues { values in
          bias.withValues { bias in
            output.withMutableValues { output in
              scratch.withMutableValues { scratch in
                let (queries, keys, values) = (Shared(queries), Shared(keys), Shared(values))
                let (bias, output, scratch) = (Shared(bias), Shared(output), Shared(scratch))
                Parallel.parts(of: batch * heads * tiles) { part, range in
                  for item in range {
                    let (row, head) = (item / (heads * tiles), item / tiles % heads)
                    let first = item % tiles * tile
                    guard first < n else { continue }
                    let position = (row * n + first) * width + head * c
                    let other = (shared ? 0 : row * m * width) + head * c
                    var attention = kernels_attention(
                      queries: queries.pointer + position, keys: keys.pointer + other,
                      values: values.pointer + other, output: output.pointer + position,
                      query_stride: width, key_stride: width, value_stride: width,
                      output_stride: width, query_count: min(tile, n - first), key_count: m,
                      channels: c, scale: scale, bias: bias.pointer + head * m)
                    let own = scratch.pointer + part * size
                    if isMixed {
                      kernels_attention_bf16(&attention, own)
                    } else {
                      kernels_attention_avx512(&attention, own)
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}
