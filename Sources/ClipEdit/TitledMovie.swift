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
  /// RGB, as a frame is.
  private let bar: [UInt8]
  /// Even, as the sides of videos are.
  let barHeight: Int

  private static let lowestBar = 20
  /// Letters above a clip that is narrower could not be read.
  private static let narrowest = 96
  private static let background: UInt8 = 0x20

  /// - Parameter clips: of one size, with their titles in ASCII.
  /// - Returns: the clips with their titles, or all as they are where not every one can have its own.
  static func titled(_ clips: [(movie: any Movie, title: String)]) -> [any Movie] {
    let titled = clips.compactMap { TitledMovie($0.movie, $0.title) }
    return titled.count == clips.count ? titled : clips.map(\.movie)
  }

  private init?(_ movie: any Movie, _ title: String) {
    guard movie.width >= Self.narrowest else { return nil }
    let (width, height) = (movie.width, max(Self.lowestBar, movie.height / 32 * 2))
    var gray = [UInt8](repeating: Self.background, count: width * height)
    let isWritten = gray.withUnsafeMutableBufferPointer {
      write_picture_text(title, $0.baseAddress, Int32(height), Int32(width))
    }
    guard isWritten else { return nil }
    (self.movie, barHeight) = (movie, height)
    bar = gray.flatMap { [$0, $0, $0] }
  }

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
