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

  init(settings: EditSettings, model: StableDiffusionModel, clip: VideoClip) {
    var shared = [
      "clip": clip.pixels.withUnsafeBytes(ContentHash.of),
      "frames": "\(clip.frameCount)", "size": "\(clip.width)x\(clip.height)",
      "model": model.identity, "source_prompt": settings.sourcePrompt,
      "inversion": settings.inversion.rawValue, "steps": "\(settings.steps)",
      "precision": model.precision.rawValue,
    ]
    let all = [
      "prompt": settings.prompt, "negative_prompt": settings.negativePrompt,
      "method": settings.method.rawValue, "guidance": "\(settings.guidance)",
      "seed": "\(settings.seed)", "bases": "\(settings.bases)",
      "iterations": "\(settings.iterations)",
    ]
    edit = all.merging(shared) { $1 }
    if settings.inversion == .stem {
      for key in ["seed", "bases", "iterations"] { shared[key] = all[key] }
    }
    inversion = shared
  }

  /// A name for the inversion, down to its last bit.
  func inversionKey(threads: Int, compute: String) -> String {
    let hash = ContentHash()
    hash.update("inversion 1")
    let all = inversion.merging(["threads": "\(threads)", "compute": compute]) { $1 }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) {
      hash.update(key)
      hash.update(value)
    }
    return String(hash.finish().prefix(32))
  }
}
