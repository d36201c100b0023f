import Foundation
import VideoFile

/// Several clips of one size as one, side by side with a gap between them.
struct SideBySide: Movie {
  private let columns: [any Movie]
  /// Between two, in pixels.
  static let gap = 8
  private let gap: Int
  /// Of the gaps.
  private static let gray: UInt8 = 0x80

  /// - Parameter columns: at least one; all as high as the first one, with as many frames, at its
  ///   times.
  init(_ columns: [any Movie], gap: Int = Self.gap) {
    self.gap = gap
    precondition(
      columns.allSatisfy {
        $0.frameCount == columns[0].frameCount && $0.height == columns[0].height
      })
    self.columns = columns
    width = columns.map(\.width).reduce(0, +) + (columns.count - 1) * gap
  }

  let width: Int
  var height: Int { columns[0].height }
  var timing: VideoTiming { columns[0].timing }
  var colors: ColorTags { columns[0].colors }
  var warnings: [String] { [] }
  var byteCount: Int { frameCount * bytesPerFrame }

  func withFrames<Result>(
    _ frames: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: frames.count * bytesPerFrame, alignment: 64)
    defer { buffer.deallocate() }
    _ = buffer.initializeMemory(as: UInt8.self, repeating: Self.gray)
    var left = 0
    for column in columns {
      try column.withFrames(frames) { pixels in
        let row = column.width * 3
        for index in 0..<frames.count * height {
          let start = index * width * 3 + left
          UnsafeMutableRawBufferPointer(rebasing: buffer[start..<start + row]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: pixels[index * row..<(index + 1) * row]))
        }
      }
      left += (column.width + gap) * 3
    }
    return try body(UnsafeRawBufferPointer(buffer))
  }
}

/// Some frames of a clip, each at its own time.
struct SomeFrames: Movie {
  private let movie: any Movie
  private let chosen: [Int]
  let timing: VideoTiming

  /// - Parameter chosen: at least one, increasing.
  init(_ chosen: [Int], of movie: any Movie) {
    (self.movie, self.chosen) = (movie, chosen)
    let times = movie.timing
    let first = times.pts[chosen[0]]
    var timing = times
    timing.pts = chosen.map { times.pts[$0] - first }
    let last = chosen[chosen.count - 1]
    let end = times.pts[times.pts.count - 1] + times.lastFrameDuration
    timing.lastFrameDuration = chosen.count == 1 ? times.lastFrameDuration : end - times.pts[last]
    self.timing = timing
  }

  var colors: ColorTags { movie.colors }
  var width: Int { movie.width }
  var height: Int { movie.height }
  var warnings: [String] { [] }
  var byteCount: Int { frameCount * bytesPerFrame }

  func withFrames<Result>(
    _ frames: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: frames.count * bytesPerFrame, alignment: 64)
    defer { buffer.deallocate() }
    for (index, frame) in frames.enumerated() {
      try movie.withFrames(chosen[frame]..<chosen[frame] + 1) { pixels in
        UnsafeMutableRawBufferPointer(
          rebasing: buffer[index * bytesPerFrame..<(index + 1) * bytesPerFrame]
        ).copyMemory(from: pixels)
      }
    }
    return try body(UnsafeRawBufferPointer(buffer))
  }

  /// At most `most` frames, evenly over the clip.
  static func even(_ most: Int, of count: Int) -> [Int] {
    guard count > most else { return Array(0..<count) }
    return (0..<most).map { $0 * count / most }
  }
}
