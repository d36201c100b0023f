import Tensor

/// Structural similarity of pictures in [-1, 1] (Wang et al., 2004), gathered from some pictures at
/// a time: the mean over frames, channels and pixels whose window lies within the picture.
///
/// As scikit-image's `structural_similarity` has it by default: windows of 7×7 pixels that all weigh
/// the same, sample covariances, K₁ = 0.01, K₂ = 0.03, a range of 2.
public struct StructuralSimilarity: Sendable {
  private var sum = 0.0
  private var count = 0
  private static let window = 7

  public init() {}

  /// - Parameter images, truth: (frames, height, width, channels); pictures smaller than the window
  ///   do not count.
  public mutating func add(_ images: Tensor, _ truth: Tensor) {
    precondition(images.shape == truth.shape, "\(images.shape) against \(truth.shape)")
    let (frames, height, width, channels) = (
      images.shape[0], images.shape[1], images.shape[2], images.shape[3]
    )
    guard height >= Self.window, width >= Self.window else { return }
    images.withValues { images in
      truth.withValues { truth in
        for frame in 0..<frames {
          for channel in 0..<channels {
            let first = frame * height * width * channels + channel
            add(
              images + first, truth + first, height: height, width: width, stride: channels)
          }
        }
      }
    }
  }

  /// Adds all pictures that another one has gathered.
  public mutating func add(_ other: StructuralSimilarity) {
    sum += other.sum
    count += other.count
  }

  /// `nil` where no picture counted.
  public var value: Double? { count == 0 ? nil : sum / Double(count) }

  /// One channel of one picture.
  private mutating func add(
    _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, height: Int, width: Int, stride: Int
  ) {
    let window = Self.window
    let samples = Double(window * window)
    let (c1, c2) = (0.02 * 0.02, 0.06 * 0.06)
    // Sums over the window's rows, of x, y, x², y² and xy in each column.
    var columns = [SIMD8<Double>](repeating: .zero, count: width)
    func moments(_ row: Int, _ column: Int) -> SIMD8<Double> {
      let (a, b) = (
        Double(x[(row * width + column) * stride]), Double(y[(row * width + column) * stride])
      )
      return SIMD8(a, b, a * a, b * b, a * b, 0, 0, 0)
    }
    for row in 0..<height {
      for column in 0..<width {
        columns[column] += moments(row, column)
        if row >= window { columns[column] -= moments(row - window, column) }
      }
      guard row >= window - 1 else { continue }
      var sums = SIMD8<Double>.zero
      for column in 0..<width {
        sums += columns[column]
        if column >= window { sums -= columns[column - window] }
        guard column >= window - 1 else { continue }
        let means = sums / samples
        let (meanX, meanY) = (means[0], means[1])
        let unbiased = samples / (samples - 1)
        let varianceX = unbiased * (means[2] - meanX * meanX)
        let varianceY = unbiased * (means[3] - meanY * meanY)
        let covariance = unbiased * (means[4] - meanX * meanY)
        sum +=
          (2 * meanX * meanY + c1) * (2 * covariance + c2)
          / ((meanX * meanX + meanY * meanY + c1) * (varianceX + varianceY + c2))
        count += 1
      }
    }
  }
}
