import Foundation

/// Files that appear whole or not at all: written aside, synced, renamed.
public enum DurableFile {
  /// What a written file holds.
  public struct Content: Sendable, Equatable {
    public let bytes: Int
    /// In hexadecimal digits.
    public let sha256: String

    public init(bytes: Int, sha256: String) { (self.bytes, self.sha256) = (bytes, sha256) }
  }

  /// Takes the file's bytes in their order.
  public struct Writer {
    fileprivate let descriptor: Int32
    fileprivate let path: String
    fileprivate let hash = ContentHash()
    fileprivate var bytes = 0

    public mutating func write(_ piece: UnsafeRawBufferPointer) throws {
      hash.update(piece)
      bytes += piece.count
      var rest = piece
      while !rest.isEmpty {
        let put = Foundation.write(descriptor, rest.baseAddress, rest.count)
        if put < 0, errno == EINTR { continue }
        guard put > 0 else { throw DurableFileError("written", path) }
        rest = UnsafeRawBufferPointer(rebasing: rest[put...])
      }
    }
  }

  /// Writes a file into a folder, in place of one of that name. It and its name are on the disk for
  /// certain after `syncFolder`.
  ///
  /// - Parameters:
  ///   - name: the file's name, which may depend on what it holds.
  ///   - permissions: less what the process' mask takes away.
  /// - Throws: `DurableFileError`, and what `body` throws; nothing is left then.
  public static func write(
    into folder: String, named name: (Content) -> String, permissions: mode_t = 0o660,
    _ body: (inout Writer) throws -> Void
  ) throws -> (name: String, content: Content) {
    let aside = "\(folder)/\(asidePrefix)\(UInt64.random(in: 0 ... .max))\(asideSuffix)"
    let descriptor = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, permissions)
    guard descriptor >= 0 else { throw DurableFileError("written to", folder) }
    do {
      defer { close(descriptor) }
      var writer = Writer(descriptor: descriptor, path: aside)
      try body(&writer)
      guard fsync(descriptor) == 0 else { throw DurableFileError("synced", aside) }
      let content = Content(bytes: writer.bytes, sha256: writer.hash.finish())
      let name = name(content)
      guard rename(aside, "\(folder)/\(name)") == 0 else {
        throw DurableFileError("renamed to \(name)", aside)
      }
      return (name, content)
    } catch {
      unlink(aside)
      throw error
    }
  }

  /// Puts the names in a folder on the disk.
  public static func syncFolder(_ folder: String) throws {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw DurableFileError("opened", folder) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw DurableFileError("synced", folder) }
  }

  /// Whether a name is one of those that files have while they are written.
  public static func isAside(_ name: String) -> Bool {
    name.hasPrefix(asidePrefix) && name.hasSuffix(asideSuffix)
  }

  private static let asidePrefix = ".writing-"
  private static let asideSuffix = ".part"
}

/// Why a file could not be written, as a sentence.
public struct DurableFileError: Error, CustomStringConvertible, Sendable {
  public let description: String
  /// The system's `errno`.
  public let code: Int32

  /// - Parameter action: what the path cannot be: "written".
  public init(_ action: String, _ path: String, code: Int32 = errno) {
    self.code = code
    description = "\(path) cannot be \(action): \(String(cString: strerror(code)))"
  }
}
