import Foundation

/// A file of prepared weights that all workers of a machine map: the first that needs it writes it,
/// while the others wait for it.
///
/// It is a safetensors file whose header lies in a space left for it. Its metadata holds the key,
/// which is all that the weights depend on, and a checksum of everything.
public final class PreparedWeightsFile: PreparedWeightsStore {
  /// How a file was had.
  public enum Origin: Sendable, Equatable { case mapped, prepared }

  private enum State {
    case mapped(SafetensorsFile, FileUse)
    case preparing(PreparedWeightsWriter)
    /// The writing failed: weights stay in memory of this process.
    case failed
  }

  public let origin: Origin
  private let path: String
  private let key: String
  private let note: (String) -> Void
  private var state: State

  private static let suffix = ".weights"
  private static let lockSuffix = ".lock"
  /// Of a file that is being written.
  static let asideSuffix = ".part"

  /// Maps the file, or begins to prepare it.
  ///
  /// - Parameters:
  ///   - folder: is made where it is missing.
  ///   - name: the file's, without an ending.
  ///   - identity: what the weights depend on beside this program and processor.
  ///   - note: told where a file is replaced, and why, or cannot be kept.
  ///   - whileWaiting: called some times a second while another worker prepares the file; what it
  ///     throws ends the waiting.
  /// - Throws: `DurableFileError` where there can be no such file, and what `whileWaiting` throws.
  public init(
    folder: String, name: String, identity: String, note: @escaping (String) -> Void,
    whileWaiting: () throws -> Void = {}
  ) throws {
    path = "\(folder)/\(name)\(Self.suffix)"
    key = "\(identity), \(ComputeIdentity.text)"
    self.note = note
    if mkdir(folder, 0o700) != 0, errno != EEXIST { throw DurableFileError("made", folder) }
    if let file = Self.valid(path, key, note: { _ in }) {
      (state, origin) = (.mapped(file.contents, file.use), .mapped)
      return
    }
    let lock = try FileLock.waited(
      for: "\(folder)/\(name)\(Self.lockSuffix)", whileWaiting: whileWaiting)
    // Another worker may have made it meanwhile.
    if let file = Self.valid(path, key, note: note) {
      (state, origin) = (.mapped(file.contents, file.use), .mapped)
      return
    }
    state = .preparing(try PreparedWeightsWriter(path: path, lock: lock))
    origin = .prepared
  }

  public func prepared(_ name: String, shape: [Int], make: () throws -> Tensor) throws -> Tensor {
    switch state {
    case .mapped(let file, let use):
      guard file.shape(of: name) == shape else { return try make() }
      return try file.tensor(name).keeping(use)
    case .preparing(let writer):
      let made = try make()
      precondition(made.shape == shape, "\(name) was prepared as \(made.shape), not \(shape)")
      do {
        return try writer.append(name, made)
      } catch {
        fail(writer, error)
        return made
      }
    case .failed: return try make()
    }
  }

  /// Makes the file appear, where it was prepared: to be called when all weights were asked for.
  public func finish() {
    guard case .preparing(let writer) = state else { return }
    do {
      try writer.finish(key: key)
      let use = FileUse(path)
      state = .mapped(try SafetensorsFile(URL(fileURLWithPath: path)), use)
    } catch { fail(writer, error) }
  }

  private func fail(_ writer: PreparedWeightsWriter, _ error: any Error) {
    writer.abandon()
    state = .failed
    note("the prepared weights are not shared with other workers: \(error)")
  }

  /// The file, where it is whole and what is wanted.
  private static func valid(_ path: String, _ key: String, note: (String) -> Void)
    -> (contents: SafetensorsFile, use: FileUse)?
  {
    guard access(path, F_OK) == 0 else { return nil }
    // First, so that nobody finds it idle while it is looked at.
    let use = FileUse(path)
    do {
      let file = try SafetensorsFile(URL(fileURLWithPath: path))
      guard file.metadata["key"] == key else {
        note("prepares the weights anew: \(path) is of another version, model or processor")
        return nil
      }
      guard file.metadata["checksum"] == file.checksum() else {
        note("prepares the weights anew: \(path) is damaged")
        return nil
      }
      // When it was used last.
      utimensat(AT_FDCWD, path, nil, 0)
      return (file, use)
    } catch {
      note("prepares the weights anew: \(error)")
      return nil
    }
  }

  /// Removes what nobody uses from a folder of such files: those that have been idle for long, and
  /// what killed writers left.
  ///
  /// - Parameter longest: in seconds.
  public static func removeIdle(in folder: String, longerThan longest: Double) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where name.hasSuffix(suffix) {
      FileUse.removeIfIdle("\(folder)/\(name)", longerThan: longest)
    }
    for ending in [lockSuffix, suffix + asideSuffix] {
      for name in names where name.hasSuffix(ending) {
        let stem = "\(folder)/\(name.dropLast(ending.count))"
        // A writer has it, and both files belong to that.
        guard let lock = try? FileLock(ifFree: stem + lockSuffix) else { continue }
        withExtendedLifetime(lock) { _ = unlink(stem + suffix + asideSuffix) }
      }
    }
  }
}

extension Tensor {
  /// The same elements, which keep an object alive.
  fileprivate func keeping(_ object: AnyObject) -> Tensor {
    Tensor(
      shape: shape,
      storage: TensorStorage(
        readOnly: withValues { $0 }, owner: Kept(tensor: self, object: object)),
      offset: 0)
  }
}

private final class Kept {
  let tensor: Tensor
  let object: AnyObject
  init(tensor: Tensor, object: AnyObject) { (self.tensor, self.object) = (tensor, object) }
}
