import Foundation
import Tensor

/// FreeU (Si et al., arXiv 2309.11497) as the authors of STEM inversion use it in their editor:
/// where the decoder's features meet a skip connection, half of the features' channels become
/// stronger, and the skip connection's lowest frequencies weaker.
struct FreeU {
  private struct Strength {
    let features, skip: Float
  }

  /// By the features' channels: those of the UNet's deepest level, and of its second.
  private let strengths: [Int: Strength]

  /// - Parameter channels: of the UNet's levels, from the widest in pixels.
  init(channels: [Int]) {
    var strengths: [Int: Strength] = [:]
    if channels.count > 1 { strengths[channels[1]] = Strength(features: 1.4, skip: 0.2) }
    if let deepest = channels.last { strengths[deepest] = Strength(features: 1.2, skip: 0.9) }
    self.strengths = strengths
  }

  /// - Parameter features, skip: (batch, height, width, channels).
  func callAsFunction(_ features: Tensor, _ skip: Tensor) -> (features: Tensor, skip: Tensor) {
    let channels = features.shape[3]
    guard let strength = strengths[channels] else { return (features, skip) }
    let (front, back) = (
      features.channels(0..<channels / 2), features.channels(channels / 2..<channels)
    )
    return (
      Tensor.concatenatedChannels(front * strength.features, back),
      Self.scaled(skip, lowFrequenciesBy: strength.skip)
    )
  }

  /// Scales the frequencies 0 and −1 in both directions: a box of two by two in the shifted
  /// spectrum, of which the authors keep the real part.
  static func scaled(_ input: Tensor, lowFrequenciesBy scale: Float) -> Tensor {
    let (height, width, channels) = (input.shape[1], input.shape[2], input.shape[3])
    let pixels = height * width
    var waves: [Float] = []
    for (vertical, horizontal) in [(0, 0), (0, -1), (-1, 0), (-1, -1)] {
      for wave in [cos, sin] as [(Double) -> Double] {
        waves += (0..<pixels).map { pixel in
          let turns =
            Double(vertical * (pixel / width)) / Double(height)
            + Double(horizontal * (pixel % width)) / Double(width)
          return Float(wave(2 * .pi * turns))
        }
      }
    }
    let across = Tensor(waves, shape: [8, pixels])
    let along = across.transposed
    return Tensor.concatenated(
      (0..<input.shape[0]).map { row in
        let picture = input.rows(row..<row + 1).reshaped([pixels, channels])
        let low = along.matrixProduct(across.matrixProduct(picture))
        return picture.blended(1, with: low, (scale - 1) / Float(pixels))
          .reshaped([1, height, width, channels])
      })
  }
}

extension Tensor {
  /// A matrix with rows and columns exchanged.
  fileprivate var transposed: Tensor {
    let (rows, columns) = (shape[0], shape[1])
    let values = values
    return Tensor(
      (0..<rows * columns).map { values[$0 % rows * columns + $0 / rows] }, shape: [columns, rows])
  }
}
