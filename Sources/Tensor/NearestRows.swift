extension Tensor {
  /// For each row of a matrix (n, c), the number of the row of `candidates` (m, c) with the largest
  /// inner product; the first of equals.
  public func nearestRows(among candidates: Tensor) -> [Int] {
    let (n, c, m) = (shape[0], shape[1], candidates.shape[0])
    precondition(candidates.shape[1] == c && m > 0, "\(shape) among \(candidates.shape)")
    let tile = max(32, min(256, (1 << 17) / m))
    let tiles = (n + tile - 1) / tile
    var scratch = Tensor(uninitialized: [Parallel.threads, tile * m])
    var nearest = [Int](repeating: 0, count: n)
    withValues { rows in
      candidates.withValues { candidates in
        scratch.withMutableValues { scratch in
          nearest.withUnsafeMutableBufferPointer { nearest in
            let (rows, candidates, scratch, nearest) = (
              Shared(rows), Shared(candidates), Shared(scratch), Shared(nearest)
            )
            Parallel.parts(of: tiles) { part, range in
              let products = scratch.pointer + part * tile * m
              for index in range {
                let first = index * tile
                let count = min(tile, n - first)
                multiply(
                  Matrix(pointer: rows.pointer + first * c, stride: c),
                  Matrix(pointer: candidates.pointer, stride: c, transposed: true),
                  into: Matrix(pointer: products, stride: m),
                  rows: count, inner: c, columns: m)
                for row in 0..<count {
                  let line = products + row * m
                  var (best, value) = (0, line[0])
                  for candidate in 1..<m where line[candidate] > value {
                    (best, value) = (candidate, line[candidate])
                  }
                  nearest.pointer[first + row] = best
                }
              }
            }
          }
        }
      }
    }
    return nearest
  }
}
