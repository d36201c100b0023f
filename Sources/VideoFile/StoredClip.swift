import CLinux
import Foundation

/// A clip whose frames lie in a file without a name, so that one of any length takes no memory.
public struct StoredClip: Movie, Sendable {
  public let width: Int
  public let height: Int
  public var timing: VideoTiming
  public let colors: ColorTags
  /// What it is of the file that it was decoded from.
  public let source: ClipSource
  public let warnings: [String]
  private let frames: FrameFile

  /// - Parameter frames: as many as `timing` has, of that size.
  public init(
    width: Int, height: Int, timing: VideoTiming, frames: FrameFile,
    colors: ColorTags = .unspecified, source: ClipSource? = nil, warnings: [String] = []
  ) {
    (self.width, self.height, self.timing) = (width, height, timing)
    (self.frames, self.colors, self.warnings) = (frames, colors, warnings)
    self.source = source ?? ClipSource(width: width, height: height)
  }

  init(_ clip: CollectedClip<FrameFile>) {
    self.init(
      width: clip.width, height: clip.height, timing: clip.timing, frames: clip.store,
      colors: clip.colors, source: clip.source, warnings: clip.warnings)
  }

  public var byteCount: Int { frames.byteCount }

  public func withFrames<Result>(
    _ frames: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: frames.count * bytesPerFrame, alignment: 64)
    defer { buffer.deallocate() }
    try self.frames.read(into: buffer, from: frames.lowerBound * bytesPerFrame)
    return try body(UnsafeRawBufferPointer(buffer))
  }
}

/// Bytes of frames, one after another, in a file without a name that is gone with its process.
public final class FrameFile: FrameStore, @unchecked Sendable {
  private let folder: String
  private let descriptor: Int32
  public private(set) var byteCount = 0

  /// - Parameter folder: where there is room.
  /// - Throws: `VideoFileError`.
  public init(folder: String) throws {
    self.folder = folder
    descriptor = stem_open_nameless(folder)
    guard descriptor >= 0 else { throw Self.failure(folder, "take") }
  }

  deinit { close(descriptor) }

  /// - Throws: `VideoFileError`, for example where the disk is full.
  public func append(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let put = pwrite(descriptor, rest.baseAddress, rest.count, off_t(byteCount))
      if put < 0, errno == EINTR { continue }
      guard put > 0 else { throw Self.failure(folder, "take") }
      byteCount += put
      rest = UnsafeRawBufferPointer(rebasing: rest[put...])
    }
  }

  fileprivate func read(into buffer: UnsafeMutableRawBufferPointer, from start: Int) throws {
    var count = 0
    while count < buffer.count {
      let got = pread(
        descriptor, buffer.baseAddress.map { $0 + count }, buffer.count - count,
        off_t(start + count))
      if got < 0, errno == EINTR { continue }
      guard got > 0 else { throw Self.failure(folder, "give back") }
      count += got
    }
  }

  private static func failure(_ folder: String, _ what: String) -> VideoFileError {
    VideoFileError(
      .resources, name: folder,
      problem: "cannot \(what) the clip's frames: \(SystemError(code: errno))")
  }
}
