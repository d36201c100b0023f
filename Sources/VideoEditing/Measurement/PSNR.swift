import Foundation
import Tensor

/// Peak signal-to-noise ratio of pictures in [-1, 1], in dB, gathered from some pictures at a time.
public struct PeakSignalToNoiseRatio: Sendable {
  private var sum = 0.0
  private var count = 0

  public init() {}

  /// - Parameter mask: one flag per pixel, (frames · height · width): only pixels that are set
  ///   count; all count without one.
  public mutating func add(_ images: Tensor, _ truth: Tensor, mask: [Bool]? = nil) {
    precondition(images.shape == truth.shape, "\(images.shape) against \(truth.shape)")
    let channels = images.shape[images.shape.count - 1]
    let pixels = images.count / channels
    precondition(
      mask == nil || mask?.count == pixels,
      "a mask of \(mask?.count ?? 0) pixels for \(images.shape)")
    images.withValues { images in
      truth.withValues { truth in
        for pixel in 0..<pixels where mask?[pixel] ?? true {
          for index in pixel * channels..<(pixel + 1) * channels {
            let difference = Double(images[index]) - Double(truth[index])
            sum += difference * difference
          }
          count += channels
        }
      }
    }
  }

  /// Adds all pictures that another one has gathered.
  public mutating func add(_ other: PeakSignalToNoiseRatio) {
    sum += other.sum
    count += other.count
  }

  /// `nil` where no pixel counted; infinity for equal pictures.
  public var value: Double? { count == 0 ? nil : 10 * log10(4 * Double(count) / sum) }
}

/// The pixels in which two clips differ by more than 8/255 in some channel: where a perfect edit
/// changes something.
public func changedPixels(_ source: Tensor, _ truth: Tensor) -> [Bool] {
  precondition(source.shape == truth.shape, "\(source.shape) against \(truth.shape)")
  let channels = source.shape[source.shape.count - 1]
  let pixels = source.count / channels
  return source.withValues { source in
    truth.withValues { truth in
      (0..<pixels).map { pixel in
        // Values span 2, not 255.
        (pixel * channels..<(pixel + 1) * channels).contains {
          abs(source[$0] - truth[$0]) > 2 * 8 / 255
        }
      }
    }
  }
}
