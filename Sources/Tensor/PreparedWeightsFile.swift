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
    case mapped(SafetensorsFile)
    case preparing(PreparedWeightsWriter)
    /// The writing failed: weights stay in memory of this process.
    case failed
  }

  public let origin: Origin
  private let path: String
  private let key: String
  private let note: (String) -> Void
  private var state: State

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
    path = "\(folder)/\(name).weights"
    key = "\(identity), \(ComputeIdentity.text)"
    self.note = note
    if mkdir(folder, 0o700) != 0, errno != EEXIST { throw DurableFileError("made", folder) }
    if let file = Self.valid(path, key, note: { _ in }) {
      (state, origin) = (.mapped(file), .mapped)
      return
    }
    let lock = try FileLock.waited(
      for: "\(folder)/\(name).lock", whileWaiting: whileWaiting)
    // Another worker may have made it meanwhile.
    if let file = Self.valid(path, key, note: note) {
      (state, origin) = (.mapped(file), .mapped)
      return
    }
    state = .preparing(try PreparedWeightsWriter(path: path, lock: lock))
    origin = .prepared
  }

  public func prepared(_ name: String, shape: [Int], make: () throws -> Tensor) throws -> Tensor {
    switch state {
    case .mapped(let file):
      guard file.shape(of: name) == shape else { return try make() }
      return try file.tensor(name)
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
      state = .mapped(try SafetensorsFile(URL(fileURLWithPath: path)))
    } catch { fail(writer, error) }
  }

  private func fail(_ writer: PreparedWeightsWriter, _ error: any Error) {
    writer.abandon()
    state = .failed
    note("the prepared weights are not shared with other workers: \(error)")
  }

  /// The file, where it is whole and what is wanted.
  private static func valid(_ path: String, _ key: String, note: (String) -> Void)
    -> SafetensorsFile?
  {
    guard access(path, F_OK) == 0 else { return nil }
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
      return file
    } catch {
      note("prepares the weights anew: \(error)")
      return nil
    }
  }
}
