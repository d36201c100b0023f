import Foundation
import Tensor

/// A model whose layers some LoRAs change. What they leave as it is remains the model's own, shared
/// with every process; the changed layers are copies.
public struct ModelWithLoRAs: ModelSource {
  let base: any ModelSource
  private let loras: [(file: LoRAFile, url: URL)]
  private let weights: [Double]
  private let changed: [LoRATensorName.Component: LowRankTensors]

  /// - Parameter loras: files and how strongly each changes the model.
  /// - Throws: `ModelError` or `WeightsError`, a sentence that names the file.
  public init(_ base: any ModelSource, loras: [(url: URL, weight: Double)]) throws {
    self.base = base
    self.loras = try loras.map { (try LoRAFile($0.url, weight: $0.weight), $0.url) }
    weights = loras.map(\.weight)
    var changed: [LoRATensorName.Component: LowRankTensors] = [:]
    for (component, source) in [
      (LoRATensorName.Component.unet, base.unet), (.textEncoder, base.textEncoder),
    ] {
      let terms = self.loras.reduce(into: [String: [LowRankTerm]]()) { terms, lora in
        for (layer, term) in lora.file.terms[component] ?? [:] {
          terms[layer, default: []].append(term)
        }
      }
      if !terms.isEmpty {
        changed[component] = LowRankTensors(try source().weights, adding: terms)
      }
    }
    self.changed = changed
  }

  public var path: String { base.path }
  public var layout: String { base.layout }
  public var files: [URL] { base.files + loras.map(\.url) }

  public func textEncoder() throws -> ModelComponent {
    try component(.textEncoder, base.textEncoder())
  }
  public func autoencoder() throws -> ModelComponent { try base.autoencoder() }
  public func unet() throws -> ModelComponent { try component(.unet, base.unet()) }
  public func schedule() throws -> ComponentConfiguration { try base.schedule() }
  public func tokenizer(longest: Int) throws -> CLIPTokenizer {
    try base.tokenizer(longest: longest)
  }

  public func identity() throws -> String {
    let hash = ContentHash()
    hash.update(try base.identity())
    for (lora, weight) in zip(loras, weights) {
      hash.update("LoRA \(weight)")
      lora.file.feed(hash)
    }
    return hash.finish()
  }

  public func sharedIdentity() throws -> String { try base.sharedIdentity() }

  public func checkAllUsed() throws {
    for (component, tensors) in changed {
      guard let layer = tensors.unused.first else { continue }
      let lora = loras.first { $0.file.terms[component]?[layer] != nil }
      throw ModelError(
        "\(lora?.url.path(percentEncoded: false) ?? "a LoRA") changes the layer '\(layer)', which \(base.path) does not have: it was made for another model"
      )
    }
  }

  private func component(_ name: LoRATensorName.Component, _ plain: ModelComponent)
    -> ModelComponent
  {
    guard let weights = changed[name] else { return plain }
    return ModelComponent(
      configuration: plain.configuration, weights: weights, files: plain.files, prefix: plain.prefix
    )
  }
}
