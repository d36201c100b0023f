import Foundation
import Glibc

/// A clip that comes in part by part; gone with this object unless a job was made of it.
public final class ClipUpload: @unchecked Sendable {
  /// Bytes in all.
  public let size: Int
  public private(set) var received = 0
  let path: String
  private let descriptor: Int32

  static let prefix = ".upload-"

  /// - Throws: `FileError`
  init(folder: String, name: String, size: Int) throws {
    self.size = size
    path = folder + "/" + Self.prefix + name
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o660)
    guard descriptor >= 0 else { throw FileError("write", path) }
  }

  deinit {
    close(descriptor)
    // Gone already where it became a job's clip.
    unlink(path)
  }

  /// Bytes that are still to come.
  public var missing: Int { max(0, size - received) }

  public var isComplete: Bool { received == size }

  /// - Throws: `Refusal` where the part is not the next one or leads beyond the end; `FileError`.
  public func append(_ part: Data, at offset: Int) throws {
    guard offset == received else {
      throw Refusal(
        .offset, "the next byte of this upload is \(received), not \(offset): go on from there",
        received: received)
    }
    guard part.count <= size - received else {
      throw Refusal(
        .malformed, "this part leads beyond the \(size) bytes that were announced: begin again")
    }
    try part.withUnsafeBytes {
      try FileSystem.writeAll($0, to: descriptor, path: path)
    }
    received += part.count
  }

  /// Copies a file into the upload, whole. May take long, and may be called from any thread.
  /// - Throws: `FileError`, or `Refusal` where the file is not as long as was said.
  public func fill(from source: Int32, named name: String) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    while received <= size {
      let count = Glibc.read(source, buffer.baseAddress, buffer.count)
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw FileError("read", name)
      }
      if count == 0 { break }
      received += count
      guard received <= size else { break }
      try FileSystem.writeAll(
        UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: descriptor, path: path)
    }
    guard isComplete else {
      throw Refusal(
        .state, "\(displayName(name)) changed while it was copied: submit it when it is complete")
    }
    try sync()
  }

  /// Puts what has come on the disk. May take long, and may be called from any thread.
  public func sync() throws {
    guard fsync(descriptor) == 0 else { throw FileError("sync", path) }
  }
}

extension Spool {
  /// Makes room for a clip that comes in part by part.
  /// - Parameters:
  ///   - name: a plain name that no other upload has.
  ///   - expecting: bytes that other uploads will still bring.
  /// - Throws: `Refusal` naming a limit, or `FileError`.
  public func beginUpload(named name: String, size: Int, expecting: Int = 0) throws -> ClipUpload {
    try limits.checkSize(Int64(size))
    try checkRoom()
    let (bytes, overflow) = Int64(size).addingReportingOverflow(Int64(expecting))
    try checkSpace(for: overflow ? .max : bytes)
    return try ClipUpload(folder: folders.workPath, name: name, size: size)
  }
}
