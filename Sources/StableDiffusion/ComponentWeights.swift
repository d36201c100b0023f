import Foundation
import Tensor

/// The weights of a component of a model in diffusers' layout.
enum ComponentWeights {
  /// Opens the file, or the files, by diffusers' names: of all of one component's, those without a
  /// variant (`fp16`, `ema`, …) come first, and those that training goes on from last.
  ///
  /// - Parameter name: `model`, or `diffusion_pytorch_model`.
  static func open(_ name: String, in folder: URL) throws -> any TensorSource {
    let path = folder.path(percentEncoded: false)
    let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let found = files.compactMap { Candidate($0, of: name) }.min {
      ($0.rank, $0.file) < ($1.rank, $1.file)
    }
    guard let found else {
      if let pickle = PickledWeights.names(among: files).first {
        throw PickledWeights.refusal(of: pickle, in: folder)
      }
      throw ModelError(
        "\(path) holds neither \(name).safetensors nor \(name).fp16.safetensors: download or copy the folder again"
      )
    }
    let url = folder.appending(path: found.file)
    return found.isIndex ? try ShardedTensors(index: url) : try SafetensorsFile(url)
  }

  private struct Candidate {
    let file: String
    let isIndex: Bool
    let rank: Int

    /// `NAME.safetensors`, `NAME.VARIANT.safetensors`, and for several files
    /// `NAME.safetensors.index.json` with a variant before `safetensors` or before `json`.
    init?(_ file: String, of name: String) {
      var parts = file.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      guard parts.removeFirst() == name else { return nil }
      isIndex = parts.contains("index") && parts.last == "json"
      if isIndex { parts.removeAll { $0 == "index" || $0 == "json" } }
      guard let ending = parts.firstIndex(of: "safetensors") else { return nil }
      parts.remove(at: ending)
      // The files of an index have their numbers there.
      guard parts.count <= 1, !parts.contains(where: { $0.contains("-of-") }) else { return nil }
      self.file = file
      rank =
        switch parts.first {
        case nil: isIndex ? 1 : 0
        case "fp16": 2
        case "non_ema": 4
        default: 3
        }
    }
  }
}
