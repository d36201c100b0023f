import CPictureText
import Foundation
import VideoFile

#if canImport(COpenCV)
  // Links what CPictureText calls.
  import COpenCV
#endif

/// A clip with its name in a bar above each frame.
struct TitledMovie: Movie {
  private let movie: any Movie
  /// The bar: as RGB.
  private let bar: [UInt8]

  /// - Parameter title: in ASCII.
  /// - Returns: the clip as it is where letters cannot be drawn, or would be too small to be read.
  static func titled(_ movie: any Movie, _ title: String) -> any Movie {
    TitledMovie(movie, title) ?? movie
  }

  private init?(_ movie: any Movie, _ title: String) {
    guard picture_text_is_built_in(), movie.width >= Self.narrowest else { return nil }
    let (width, height) = (movie.width, max(Self.lowest, movie.height / 32 * 2))
    var gray = [UInt8](repeating: Self.background, count: width * height)
    guard
      gray.withUnsafeMutableBufferPointer({
        write_picture_text(title, $0.baseAddress, Int32(height), Int32(width))
      }) == nil
    else { return nil }
    (self.movie, barHeight) = (movie, height)
    bar = gray.flatMap { [$0, $0, $0] }
  }

  /// Even, as the sides of videos are.
  let barHeight: Int
  private static let lowest = 20
  private static let narrowest = 96
  private static let background: UInt8 = 0x20

  var width: Int { movie.width }
  var height: Int { movie.height + barHeight }
  var timing: VideoTiming { movie.timing }
  var colors: ColorTags { movie.colors }
  var warnings: [String] { movie.warnings }
  var byteCount: Int { frameCount * bytesPerFrame }

  func withFrames<Result>(
    _ frames: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    try movie.withFrames(frames) { pixels in
      let picture = movie.bytesPerFrame
      var titled: [UInt8] = []
      titled.reserveCapacity(frames.count * bytesPerFrame)
      for index in 0..<frames.count {
        titled += bar
        titled += UnsafeRawBufferPointer(
          rebasing: pixels[index * picture..<(index + 1) * picture])
      }
      return try titled.withUnsafeBytes(body)
    }
  }
}
