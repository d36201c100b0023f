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
  public func model(_ source: any ModelSource, precision: Precision) throws -> (
    model: StableDiffusionModel, isPrepared: Bool
  ) {
    // What LoRAs change is not shared, but the files are to hold the whole of their model.
    let base = (source as? ModelWithLoRAs)?.base
    let hash = ContentHash()
    hash.update(FileStamp.text(of: (base ?? source).files))
    // The files may have been replaced since they were opened.
    hash.update(try (base ?? source).identity())
    let identity = hash.finish()
    var files: [String: PreparedWeightsFile] = [:]
    func opened(_ source: any ModelSource) throws -> StableDiffusionModel {
      let model = try StableDiffusionModel(source, precision: precision) { component, precision in
        let name = "\(identity.prefix(32))-\(component)-\(precision)"
        if let file = files[name] { return file }
        do {
          let file = try PreparedWeightsFile(
            folder: folder, name: name, identity: "\(identity) \(component) \(precision)",
            note: note, whileWaiting: whileWaiting)
          files[name] = file
          return file
        } catch let error as DurableFileError {
          note("the prepared weights are not shared with other workers: \(error)")
          return nil
        }
      }
      for file in files.values { file.finish() }
      return model
    }
    if let base { _ = try opened(base) }
    let model = try opened(source)
    let isPrepared = files.values.contains { $0.origin == .prepared }
    if isPrepared {
      PreparedWeightsFile.removeIdle(in: folder, longerThan: Self.longestIdle)
      Tensor.releaseIdleMemory()
    }
    return (model, isPrepared)
  }
}
