import Tensor

/// The directions in which vectors differ most.
///
/// The signs, which the definition leaves open, are such that the entry of greatest magnitude is
/// positive, as scikit-learn has them.
struct PrincipalComponents {
  /// (channels): of all vectors.
  let mean: [Double]
  /// Of the greatest variances first; each of length 1.
  let directions: [[Double]]

  /// - Parameters:
  ///   - rows: (n, channels).
  ///   - count: of components, not more than channels.
  init(of rows: Tensor, count: Int) {
    let (n, channels) = (rows.shape[0], rows.shape[1])
    precondition(n > 0 && count <= channels, "\(count) components of \(rows.shape)")
    let mean = Self.mean(of: rows)
    let shift = Tensor(mean.map { Float(-$0) }, shape: [channels])
    // In portions, which are added up in 64 bits.
    var covariance = [Double](repeating: 0, count: channels * channels)
    for start in stride(from: 0, to: n, by: 4096) {
      let part = rows.rows(start..<min(n, start + 4096)) + shift
      let across = part.reshaped([1, part.shape[0], 1, channels]).channelsFirst()
        .reshaped([channels, part.shape[0]])
      across.matrixProduct(across, rightTransposed: true).withValues { product in
        for index in covariance.indices { covariance[index] += Double(product[index]) }
      }
    }
    self.mean = mean
    directions = SymmetricMatrix(covariance, size: channels).eigenvectors().prefix(count).map {
      let greatest = $0.max { abs($0) < abs($1) } ?? 1
      return greatest < 0 ? $0.map { -$0 } : $0
    }
  }

  /// How far the vectors lie in each direction, (n, count).
  func coordinates(of rows: Tensor) -> Tensor {
    let channels = mean.count
    let shift = Tensor(mean.map { Float(-$0) }, shape: [channels])
    return (rows + shift).matrixProduct(
      Tensor(directions.joined().map { Float($0) }, shape: [directions.count, channels]),
      rightTransposed: true)
  }

  private static func mean(of rows: Tensor) -> [Double] {
    let (n, channels) = (rows.shape[0], rows.shape[1])
    var sums = [Double](repeating: 0, count: channels)
    rows.withValues { rows in
      for row in 0..<n {
        for channel in 0..<channels { sums[channel] += Double(rows[row * channels + channel]) }
      }
    }
    return sums.map { $0 / Double(n) }
  }
}

/// A real symmetric matrix, and Jacobi's way to its eigenvectors: rotations, each of which makes one
/// pair of entries off the diagonal zero, in a fixed order until nothing is left there (Golub and
/// Van Loan, Matrix Computations, 8.5).
struct SymmetricMatrix {
  private var entries: [Double]
  private let size: Int

  /// - Parameter entries: (size · size), row by row.
  init(_ entries: [Double], size: Int) {
    precondition(entries.count == size * size, "\(entries.count) entries of \(size) rows")
    (self.entries, self.size) = (entries, size)
  }

  /// All of length 1, by eigenvalue, the greatest first.
  func eigenvectors() -> [[Double]] {
    let size = size
    var matrix = entries
    // Row by row.
    var vectors = [Double](repeating: 0, count: size * size)
    for index in 0..<size { vectors[index * size + index] = 1 }
    matrix.withUnsafeMutableBufferPointer { matrix in
      vectors.withUnsafeMutableBufferPointer { vectors in
        let whole = matrix.reduce(0) { $0 + $1 * $1 }
        // It takes fewer than ten for any size that occurs.
        for _ in 0..<50 {
          var rest = 0.0
          for p in 0..<size {
            for q in p + 1..<max(size, p + 1) {
              rest += matrix[p * size + q] * matrix[p * size + q]
            }
          }
          guard rest > 1e-24 * whole else { return }
          for p in 0..<size {
            for q in p + 1..<max(size, p + 1) where matrix[p * size + q] != 0 {
              Self.rotate(matrix, vectors, p, q, size)
            }
          }
        }
      }
    }
    return (0..<size).sorted { matrix[$0 * size + $0] > matrix[$1 * size + $1] }.map {
      Array(vectors[$0 * size..<($0 + 1) * size])
    }
  }

  /// Makes the entries (p, q) and (q, p) zero.
  private static func rotate(
    _ matrix: UnsafeMutableBufferPointer<Double>, _ vectors: UnsafeMutableBufferPointer<Double>,
    _ p: Int, _ q: Int, _ size: Int
  ) {
    let (pRow, qRow) = (p * size, q * size)
    let ratio = (matrix[qRow + q] - matrix[pRow + p]) / (2 * matrix[pRow + q])
    let tangent =
      (ratio < 0 ? -1 : 1) / (abs(ratio) + (ratio * ratio + 1).squareRoot())
    let cosine = 1 / (tangent * tangent + 1).squareRoot()
    let sine = tangent * cosine
    // Rows, then the columns that mirror them.
    for index in 0..<size {
      let (a, b) = (matrix[pRow + index], matrix[qRow + index])
      matrix[pRow + index] = cosine * a - sine * b
      matrix[qRow + index] = sine * a + cosine * b
      let (u, v) = (vectors[pRow + index], vectors[qRow + index])
      vectors[pRow + index] = cosine * u - sine * v
      vectors[qRow + index] = sine * u + cosine * v
    }
    for index in stride(from: 0, to: size * size, by: size) {
      let (a, b) = (matrix[index + p], matrix[index + q])
      matrix[index + p] = cosine * a - sine * b
      matrix[index + q] = sine * a + cosine * b
    }
    (matrix[pRow + q], matrix[qRow + p]) = (0, 0)
  }
}
