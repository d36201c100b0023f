import Foundation
import Tensor

/// A folder of models' prepared weights, a file for each component and precision, which all workers
/// of a machine share.
public struct PreparedModelCache {
  private let folder: String
  private let note: (String) -> Void
  private let whileWaiting: () throws -> Void

  /// Files that nobody has used for so long are removed when a new one is written.
  private static let longestIdle: Double = 30 * 24 * 3600

  /// - Parameters:
  ///   - folder: is made where it is missing.
  ///   - note: told what could not be shared, and what was damaged or outdated.
  ///   - whileWaiting: called some times a second while another worker prepares a model; what it
  ///     throws ends the waiting.
  public init(
    folder: String, note: @escaping (String) -> Void, whileWaiting: @escaping () throws -> Void = {}
  ) {
    (self.folder, self.note, self.whileWaiting) = (folder, note, whileWaiting)
  }

  /// Opens a model whose weights are kept here.
  ///
  /// - Returns: the model, and whether any of its weights had to be prepared.
  /// - Throws: as `StableDiffusionModel.init`, and what `whileWaiting` throws. Whatever is wrong with
  ///   the cache itself is noted, and the weights are then prepared in this process's own memory.
  public func model(folder modelFolder: URL, precision: Precision) throws -> (
    model: StableDiffusionModel, isPrepared: Bool
  ) {
    var files: [PreparedWeightsFile] = []
    let model = try StableDiffusionModel(folder: modelFolder, precision: precision) {
      identity, component, precision in
      do {
        let file = try PreparedWeightsFile(
          folder: folder, name: "\(identity.prefix(32))-\(component)-\(precision)",
          identity: "\(identity) \(component) \(precision)", note: note,
          whileWaiting: whileWaiting)
        files.append(file)
        return file
      } catch let error as DurableFileError {
        note("the prepared weights are not shared with other workers: \(error)")
        return nil
      }
    }
    for file in files { file.finish() }
    let isPrepared = files.contains { $0.origin == .prepared }
    if isPrepared {
      PreparedWeightsFile.removeIdle(in: folder, longerThan: Self.longestIdle)
      Tensor.releaseIdleMemory()
    }
    return (model, isPrepared)
  }
}
