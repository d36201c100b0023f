/// Scaling of 8-bit pixels along one dimension as Pillow does it, to the bit: a bicubic filter (a =
/// -0.5) that grows with the step where it makes less, of whole numbers with 22 bits behind the
/// point.
struct BicubicScaling {
  /// For each pixel of the result: the first of the pixels that it is made of, and what they count.
  private let windows: [(first: Int, weights: [Int])]
  private let count: Int
  private static let bits = 22

  init(from count: Int, to result: Int) {
    precondition(count > 0 && result > 0, "\(count) pixels as \(result)")
    self.count = count
    let scale = Double(count) / Double(result)
    let stretch = max(scale, 1)
    windows = (0..<result).map { place in
      let centre = (Double(place) + 0.5) * scale
      let first = max(0, Int(centre - 2 * stretch + 0.5))
      let end = min(count, Int(centre + 2 * stretch + 0.5))
      let weights = (first..<end).map {
        Self.filter((Double($0) - centre + 0.5) / stretch)
      }
      let sum = weights.reduce(0, +)
      return (
        first,
        weights.map {
          let weight = $0 / sum * Double(1 << Self.bits)
          return Int(weight < 0 ? weight - 0.5 : weight + 0.5)
        }
      )
    }
  }

  private static func filter(_ distance: Double) -> Double {
    let (a, x) = (-0.5, abs(distance))
    if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
    return 0
  }

  /// - Parameter pixels: (rows, from, 3).
  /// - Returns: (rows, to, 3).
  func scaledColumns(of pixels: [UInt8], rows: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(rows * windows.count * 3)
    for row in 0..<rows {
      for (first, weights) in windows {
        for channel in 0..<3 {
          result.append(
            Self.sum(weights, of: pixels, from: (row * count + first) * 3 + channel, by: 3))
        }
      }
    }
    return result
  }

  /// - Parameter pixels: (from, rowBytes).
  /// - Returns: (to, rowBytes).
  func scaledRows(of pixels: [UInt8], rowBytes: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(windows.count * rowBytes)
    for (first, weights) in windows {
      for byte in 0..<rowBytes {
        result.append(Self.sum(weights, of: pixels, from: first * rowBytes + byte, by: rowBytes))
      }
    }
    return result
  }

  private static func sum(_ weights: [Int], of pixels: [UInt8], from first: Int, by step: Int)
    -> UInt8
  {
    var sum = 1 << (bits - 1)
    var place = first
    for weight in weights {
      sum += weight * Int(pixels[place])
      place += step
    }
    return UInt8(max(0, min(255, sum >> bits)))
  }
}
