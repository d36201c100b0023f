import Foundation
import StableDiffusion
import Tensor
import Testing

/// The repository's own model.
enum TinyWorld {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Models/tiny-world")

  static let model = Result { try StableDiffusionModel(at: folder) }

  /// What each network of a model makes of fixed inputs.
  static func outputs(_ model: StableDiffusionModel) throws -> [String: Tensor] {
    let latents = RandomNumbers(seed: 3, stream: "latents").normal([2, 9, 6, 4])
    let pictures = RandomNumbers(seed: 3, stream: "pictures").normal([1, 24, 40, 3])
    let context = model.encode(["a red ball"])
    return [
      "text": context, "unet": try model.unet(latents, timestep: 301, context: context),
      "vae.mean": model.autoencoder.encode(pictures),
      "vae.decoded": model.autoencoder.decode(latents),
    ]
  }

  /// Expects that two models compute the same, to a millionth.
  static func expectEqual(
    _ model: StableDiffusionModel, _ expected: StableDiffusionModel, _ note: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let (ours, theirs) = (try outputs(model), try outputs(expected))
    for (name, tensor) in ours {
      let other = try #require(theirs[name])
      var (difference, size) = (0.0, 0.0)
      for (a, b) in zip(tensor.values, other.values) {
        difference += Double(a - b) * Double(a - b)
        size += Double(b) * Double(b)
      }
      let error = (difference / size).squareRoot()
      #expect(
        tensor.shape == other.shape && error <= 1e-6, "\(note) \(name) differs by \(error)",
        sourceLocation: sourceLocation)
    }
  }
}

/// A copy of the model folder that a test may damage; its large files are linked.
final class DamagedModel {
  let folder = FileManager.default.temporaryDirectory.appending(path: "model-\(UUID().uuidString)")

  init() throws {
    for case let file as URL in FileManager.default.enumerator(
      at: TinyWorld.folder, includingPropertiesForKeys: nil) ?? .init()
    {
      let path = file.path(percentEncoded: false).dropFirst(
        TinyWorld.folder.path(percentEncoded: false).count
      ).drop { $0 == "/" }
      let target = folder.appending(path: String(path))
      if file.hasDirectoryPath {
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
      } else if file.pathExtension == "safetensors" {
        try FileManager.default.createSymbolicLink(at: target, withDestinationURL: file)
      } else {
        try FileManager.default.copyItem(at: file, to: target)
      }
    }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func set(_ key: String, _ value: Any, in file: String) throws {
    let url = folder.appending(path: file)
    var json =
      try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any] ?? [:]
    json[key] = value
    try JSONSerialization.data(withJSONObject: json).write(to: url)
  }

  func remove(_ file: String) throws {
    try FileManager.default.removeItem(at: folder.appending(path: file))
  }

  func write(_ text: String, to file: String) throws {
    try Data(text.utf8).write(to: folder.appending(path: file))
  }

  func tensors(_ file: String) throws -> StoredTensors {
    try StoredTensors(folder.appending(path: file))
  }

  /// Replaces a file of weights by one that is made from it.
  func rewrite(
    _ file: String, as new: String? = nil, _ change: (StoredTensors) throws -> StoredTensors
  )
    throws
  {
    let tensors = try change(tensors(file))
    try remove(file)
    try tensors.write(to: folder.appending(path: new ?? file))
  }

  func opened() throws -> StableDiffusionModel {
    try withExtendedLifetime(self) { try StableDiffusionModel(at: folder) }
  }

  /// What loading says.
  func complaint() -> String {
    do {
      _ = try opened()
      return "(it loads)"
    } catch { return "\(error)" }
  }
}
