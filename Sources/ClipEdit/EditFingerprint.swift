import EditSettings
import Foundation
import StableDiffusion
import Tensor
import VideoFile

/// All that determines an edit's result, but for the last bits, by name.
struct EditFingerprint {
  let edit: [String: String]
  /// What determines the inversion, and nothing else.
  private let inversion: [String: String]

  /// - Throws: `VideoFileError` where the clip's frames cannot be read.
  init(settings: EditSettings, model: StableDiffusionModel, clip: some Movie) throws {
    let found = [
      "clip": try clip.contentHash,
      "frames": "\(clip.frameCount)", "size": "\(clip.width)x\(clip.height)",
      "model": model.identity, "precision": model.precision.rawValue,
    ]
    // These decide nothing that is kept.
    let asked = settings.texts.filter { !["reconstruction", "output_size"].contains($0.key) }
    edit = asked.merging(found) { $1 }
    var deciding = ["source_prompt", "inversion", "steps", "inversion_steps"]
    if settings.inversion == .stem {
      deciding += ["seed", "bases", "iterations", "temperature", "bases_of", "empty_bases"]
    }
    inversion = asked.filter { deciding.contains($0.key) }.merging(found) { $1 }
  }

  /// A name for the inversion, down to its last bit.
  func inversionKey(threads: Int, compute: String) -> String {
    let hash = ContentHash()
    hash.update("inversion 2")
    let all = inversion.merging(["threads": "\(threads)", "compute": compute]) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) {
      hash.update(key)
      hash.update(value)
    }
    return String(hash.finish().prefix(32))
  }
}

extension EditSettings {
  /// Every setting that there is, by its name: none can be forgotten.
  fileprivate var texts: [String: String] {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    guard let data = try? encoder.encode(self),
      let fields = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
    else { preconditionFailure("settings are plain numbers and texts") }
    return fields.mapValues { value in
      let text = try? JSONSerialization.data(withJSONObject: [value], options: .sortedKeys)
      return String(decoding: text ?? Data(), as: UTF8.self)
    }
  }
}

extension Movie {
  /// Of all frames' bytes.
  fileprivate var contentHash: String {
    get throws {
      let hash = ContentHash()
      for index in 0..<frameCount { try withFrames(index..<index + 1) { hash.update($0) } }
      return hash.finish()
    }
  }
}
