import Foundation
import Tensor

/// A model whose layers some LoRAs change. What they leave as it is remains the model's own, shared
/// with every process; the changed layers are copies.
public struct ModelWithLoRAs: ModelSource {
  let base: any ModelSource
  private let loras: [LoRAFile]
  /// The components that have changed layers, and their weights.
  private let changed: [LoRATensorName.Component: (ModelComponent, weights: LowRankTensors)]

  /// - Parameter loras: files, and how strongly each changes the model.
  /// - Throws: `ModelError` or `WeightsError`, a sentence that names the file.
  public init(_ base: any ModelSource, loras: [URL: Double]) throws {
    self.base = base
    self.loras = try loras.sorted { $0.key.path < $1.key.path }.map {
      try LoRAFile($0.key, weight: $0.value)
    }
    var changed: [LoRATensorName.Component: (ModelComponent, weights: LowRankTensors)] = [:]
    for (component, source) in [
      (LoRATensorName.Component.unet, base.unet), (.textEncoder, base.textEncoder),
    ] {
      let terms = self.loras.reduce(into: [String: [LowRankTerm]]()) { terms, lora in
        for (layer, term) in lora.terms[component] ?? [:] {
          terms[layer, default: []].append(term)
        }
      }
      guard !terms.isEmpty else { continue }
      let plain = try source()
      let weights = LowRankTensors(plain.weights, adding: terms)
      changed[component] = (
        ModelComponent(
          configuration: plain.configuration, weights: weights, files: plain.files,
          prefix: plain.prefix), weights
      )
    }
    self.changed = changed
  }

  public var path: String { base.path }
  public var layout: String { base.layout }
  public var files: [URL] { base.files + loras.map(\.url) }

  public func textEncoder() throws -> ModelComponent {
    try changed[.textEncoder]?.0 ?? base.textEncoder()
  }
  public func autoencoder() throws -> ModelComponent { try base.autoencoder() }
  public func unet() throws -> ModelComponent { try changed[.unet]?.0 ?? base.unet() }
  public func schedule() throws -> ComponentConfiguration { try base.schedule() }
  public func tokenizer(longest: Int) throws -> CLIPTokenizer {
    try base.tokenizer(longest: longest)
  }

  /// Without the LoRAs, so that their edits are measured alike.
  public func similarity() throws -> CLIPSimilarity? { try base.similarity() }

  public func identity() throws -> String {
    let hash = ContentHash()
    hash.update(try base.identity())
    for lora in loras { lora.feed(hash) }
    return hash.finish()
  }

  public func checkAllUsed() throws {
    for (component, (_, weights)) in changed {
      guard let layer = weights.unused.first,
        let lora = loras.first(where: { $0.terms[component]?[layer] != nil })
      else { continue }
      throw ModelError(
        "\(lora.url.path(percentEncoded: false)) changes the layer '\(layer)', which \(path) does not have: it was made for another model"
      )
    }
  }
}
