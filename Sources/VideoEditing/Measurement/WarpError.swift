import Tensor

/// How unsteady a clip is in time (Lai et al., 2018): the source's optical flow moves each frame onto
/// the next one, and what differs there is flicker. Gathered from some frames at a time, in their
/// order.
///
/// A value is the root of the mean squared difference of 8-bit pixels, of 255, over those that the
/// source's motion keeps in sight.
public struct WarpError: Sendable {
  /// Of one frame against the one before.
  public struct Value: Sendable {
    /// Counted from 0; the first frame has none.
    public let frame: Int
    public let edited: Double
    /// The source's own: what is not the edit's fault.
    public let source: Double
  }

  public private(set) var values: [Value] = []
  private var count = 0
  private var last: (grey: GreyPicture, source: Tensor, edited: Tensor)?

  public init() {}

  /// - Parameters:
  ///   - source, edited: the same frames, (frames, height, width, 3) in [-1, 1]; a side has at least
  ///     `OpticalFlow.leastSide` pixels.
  /// - Throws: `OpticalFlowError`.
  public mutating func add(source: Tensor, edited: Tensor) throws {
    precondition(source.shape == edited.shape, "\(source.shape) against \(edited.shape)")
    let (frames, height, width) = (source.shape[0], source.shape[1], source.shape[2])
    let pixels = source.pixels
    func picture(_ tensor: Tensor, _ frame: Int) -> Tensor {
      tensor.rows(frame..<frame + 1).reshaped([height, width, 3])
    }
    func rounded(_ pixels: [UInt8]) -> Tensor {
      Tensor(pixels: pixels, frames: frames, height: height, width: width)
    }
    let (source, edited) = (rounded(pixels), rounded(edited.pixels))
    let greys = GreyPicture.each(of: pixels, height: height, width: width)
    let motions = try FrameMotion.between((last.map { [$0.grey] } ?? []) + greys)
    for frame in 0..<frames {
      let (source, edited) = (picture(source, frame), picture(edited, frame))
      if let last {
        let motion = motions[motions.count - frames + frame]
        // Where all is out of sight there is nothing to compare.
        if let own = motion.error(from: last.source, to: source),
          let error = motion.error(from: last.edited, to: edited)
        {
          values.append(Value(frame: count, edited: error, source: own))
        }
      }
      last = (greys[frame], source, edited)
      count += 1
    }
  }

  /// Over the pairs of frames; `nil` of none.
  public var mean: (edited: Double, source: Double)? {
    guard !values.isEmpty else { return nil }
    let count = Double(values.count)
    return (
      values.reduce(0) { $0 + $1.edited } / count, values.reduce(0) { $0 + $1.source } / count
    )
  }
}

extension FrameMotion {
  /// The root of the mean squared difference, of 255, of a picture from what the one before it
  /// becomes; `nil` where no pixel was in sight.
  ///
  /// - Parameters:
  ///   - previous, next: (height, width, channels) in [-1, 1].
  func error(from previous: Tensor, to next: Tensor) -> Double? {
    let channels = next.shape[2]
    // A row each, so that the sum is the same whatever the number of threads.
    var rows = [(sum: Double, count: Int)](repeating: (0, 0), count: height)
    previous.withValues { previous in
      next.withValues { next in
        rows.withUnsafeMutableBufferPointer { rows in
          Parallel.ranges(of: height, atLeast: 16) { range in
            for y in range {
              var (sum, count) = (0.0, 0)
              forEachVisible(inRow: y) { pixel, taps in
                for channel in 0..<channels {
                  let gap =
                    taps.value(previous, channels, channel) - next[pixel * channels + channel]
                  sum += Double(gap * gap)
                }
                count += channels
              }
              rows[y] = (sum, count)
            }
          }
        }
      }
    }
    let count = rows.reduce(0) { $0 + $1.count }
    return count == 0 ? nil : 127.5 * (rows.reduce(0) { $0 + $1.sum } / Double(count)).squareRoot()
  }
}
