import Foundation
import Tensor

/// A model in diffusers' layout: a folder with a folder for each component.
public struct DiffusersFolder: ModelSource {
  public let folder: URL

  private static let components = ["tokenizer", "text_encoder", "vae", "unet", "scheduler"]

  /// - Throws: `ModelError`, where there is no such folder or it is no Stable Diffusion 1.x or 2.x.
  public init(_ folder: URL) throws {
    self.folder = folder
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue
    else {
      throw ModelError("there is no model folder \(path)")
    }
    func name(_ key: String, in file: String) -> String? {
      (try? ComponentConfiguration(folder.appending(path: file))).flatMap { configuration in
        (try? configuration.text(key)) ?? (try? configuration.texts(key))?.first
      }
    }
    if let pipeline = name("_class_name", in: "model_index.json"),
      let other = OtherModels.name(pipeline: pipeline)
    {
      throw OtherModels.refusal(of: path, "\(other) (\(pipeline))")
    }
    guard let missing = Self.components.first(where: { !has($0) }) else { return }
    let component =
      name("_class_name", in: "config.json") ?? name("architectures", in: "config.json")
    if let other = component.flatMap({ OtherModels.name(component: $0) }) {
      throw OtherModels.refusal(of: path, other)
    }
    if has("transformer") {
      throw OtherModels.refusal(
        of: path,
        "a model with a transformer in place of the UNet, such as Stable Diffusion 3 or Flux"
      )
    }
    let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let hint = files.sorted().first { $0.hasSuffix(".safetensors") }.map {
      "; if \($0) in it is a whole model, name that file instead"
    }
    throw ModelError(
      "\(path) is not a model folder as diffusers writes it: it has no folder '\(missing)'\(hint ?? "")"
    )
  }

  private func has(_ part: String) -> Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: part).path(percentEncoded: false))
  }

  public var path: String {
    let path = folder.path(percentEncoded: false)
    return path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
  }

  public var files: [URL] { [folder] }

  public var layout: String { "a folder, as diffusers writes it" }

  public func textEncoder() throws -> ModelComponent { try textEncoder(in: "text_encoder") }

  private func textEncoder(in component: String) throws -> ModelComponent {
    try self.component(component) { weights in
      // transformers' class wrote the prefix until version 5.
      guard weights.shape(of: "text_model.embeddings.token_embedding.weight") != nil else {
        return weights
      }
      return RenamedTensors(weights) { .init("text_model." + $0) }
    }
  }

  /// From the folders `image_encoder` and `feature_extractor`, where diffusers' pipelines save them,
  /// and from a text encoder whose files hold `text_projection.weight`: that in
  /// `text_encoder_with_projection`, or else the model's own. Nothing in the files says that texts
  /// and pictures have one space but that they are equally wide in it.
  public func similarity() throws -> CLIPSimilarity? {
    guard has("image_encoder") else { return nil }
    let preprocessing = folder.appending(path: "feature_extractor/preprocessor_config.json")
    let pictures = try CLIPImageEncoder(
      component("image_encoder") { weights in
        RenamedTensors(weights) {
          .init($0.hasPrefix("visual_projection.") ? $0 : "vision_model." + $0)
        }
      },
      preprocessing: has("feature_extractor/preprocessor_config.json")
        ? ComponentConfiguration(preprocessing) : nil)
    let name = "text_projection.weight"
    for component in ["text_encoder_with_projection", "text_encoder"] where has(component) {
      let weights = try weights(of: component)
      guard weights.shape(of: name)?.first == pictures.width else { continue }
      return try CLIPSimilarity(
        pictures: pictures,
        texts: CLIPTextProjection(textEncoder(in: component), projection: weights.tensor(name)),
        tokenizer: tokenizer)
    }
    return try CLIPSimilarity(pictures: pictures, tokenizer: tokenizer)
  }

  public func autoencoder() throws -> ModelComponent {
    try component("vae") { weights in
      // Files from before 2023 have other names, and some hold the matrices as 1×1 convolutions.
      let attention = "mid_block.attentions.0."
      let oldNames = [
        "to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn",
      ]
      return RenamedTensors(weights) { name in
        guard let place = name.range(of: attention) else { return .init(name) }
        let (stem, kind) = name[place.upperBound...].splitAtLastDot
        guard let old = oldNames[stem], weights.shape(of: name) == nil else {
          return .init(name, isMatrix: true)
        }
        return .init("\(name[..<place.upperBound])\(old).\(kind)", isMatrix: true)
      }
    }
  }

  public func unet() throws -> ModelComponent { try component("unet") { $0 } }

  public func schedule() throws -> ComponentConfiguration {
    try ComponentConfiguration(folder.appending(path: "scheduler/scheduler_config.json"))
  }

  public func tokenizer(longest: Int) throws -> CLIPTokenizer {
    try CLIPTokenizer(folder: folder.appending(path: "tokenizer"), longest: longest)
  }

  public func identity() throws -> String {
    let hash = ContentHash()
    for component in Self.components {
      let place = folder.appending(path: component)
      let names = try FileManager.default.contentsOfDirectory(
        atPath: place.path(percentEncoded: false))
      for name in names.sorted() where name.hasSuffix(".json") || name.hasSuffix(".txt") {
        // What the model needs has been read; a stranger among its files changes nothing.
        guard let data = RegularFile.contents(of: place.appending(path: name)) else { continue }
        hash.update("\(component)/\(name) \(data.count)")
        data.withUnsafeBytes(hash.update)
      }
    }
    for component in ["text_encoder", "vae", "unet"] {
      hash.update(component)
      try weights(of: component).feedSample(to: hash)
    }
    return hash.finish()
  }

  private func component(_ name: String, _ view: (any TensorSource) throws -> any TensorSource)
    throws -> ModelComponent
  {
    let configuration = try ComponentConfiguration(folder.appending(path: "\(name)/config.json"))
    let weights = try weights(of: name)
    return ModelComponent(
      configuration: configuration, weights: try view(weights),
      files: (weights as? ShardedTensors)?.files ?? [weights].compactMap { $0 as? SafetensorsFile },
      prefix: "")
  }

  private func weights(of component: String) throws -> any TensorSource {
    try ComponentWeights.open(
      ["unet", "vae"].contains(component) ? "diffusion_pytorch_model" : "model",
      in: folder.appending(path: component))
  }
}

extension Substring {
  /// What is before the last dot, and what is after it.
  fileprivate var splitAtLastDot: (String, String) {
    guard let dot = lastIndex(of: ".") else { return (String(self), "") }
    return (String(self[..<dot]), String(self[index(after: dot)...]))
  }
}
