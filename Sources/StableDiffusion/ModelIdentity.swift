import Foundation
import Tensor

extension ModelFolder {
  static let components = ["tokenizer", "text_encoder", "vae", "unet", "scheduler"]

  /// A hash that tells a model from every other, wherever its files lie: of all that is configured,
  /// and of a sample of each file of weights that reaches every tensor. Reading gigabytes of
  /// weights whole would take longer than many an edit.
  static func identity(of folder: URL) throws -> String {
    let hash = ContentHash()
    for component in components {
      let place = folder.appending(path: component)
      let names = try FileManager.default.contentsOfDirectory(
        atPath: place.path(percentEncoded: false))
      for name in names.sorted() where name.hasSuffix(".json") || name.hasSuffix(".txt") {
        // What the model needs has been read; a stranger among its files changes nothing.
        guard let data = try? Data(contentsOf: place.appending(path: name)) else { continue }
        hash.update("\(component)/\(name) \(data.count)")
        data.withUnsafeBytes(hash.update)
      }
    }
    for (component, name) in [
      ("text_encoder", "model"), ("vae", "diffusion_pytorch_model"),
      ("unet", "diffusion_pytorch_model"),
    ] {
      hash.update(component)
      try SafetensorsFile(weightsFile(name, in: folder.appending(path: component))).feedSample(
        to: hash)
    }
    return hash.finish()
  }
}
