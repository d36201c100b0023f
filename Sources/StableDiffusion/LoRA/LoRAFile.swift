import Foundation
import Tensor

/// A LoRA: low-rank terms for some layers of a model (Hu et al., arXiv 2106.09685), in one file.
struct LoRAFile {
  /// By component and layer.
  private(set) var terms: [LoRATensorName.Component: [String: LowRankTerm]] = [:]
  let weight: Double
  private let file: SafetensorsFile

  /// - Parameter weight: how strongly it changes the model.
  /// - Throws: `ModelError`, where the file holds something else; `WeightsError` where it cannot be
  ///   read.
  init(_ url: URL, weight: Double) throws {
    let path = url.path(percentEncoded: false)
    guard FileManager.default.fileExists(atPath: path) else {
      throw ModelError("there is no LoRA \(path)")
    }
    guard RegularFile.isAt(path) else { throw ModelError("the LoRA \(path) is no file") }
    if PickledWeights.isPickled(url) { throw PickledWeights.refusal(of: url) }
    file = try SafetensorsFile(url)
    self.weight = weight
    if let other = OtherModels.name(lora: file.names) {
      throw ModelError(
        "\(path) is \(other), which is not supported; supported are LoRAs for Stable Diffusion 1.x and 2.x in the layouts of diffusers and kohya"
      )
    }
    var found: [LoRATensorName.Component: [String: Parts]] = [:]
    for stored in file.names {
      guard let name = LoRATensorName(stored) else {
        throw ModelError(
          "\(path) is no LoRA in the layout of diffusers or kohya: it holds '\(stored)'")
      }
      var parts = found[name.component, default: [:]][name.layer, default: Parts(name.path)]
      switch name.part {
      case .down: parts.down = stored
      case .up: parts.up = stored
      case .alpha: parts.alpha = stored
      }
      found[name.component, default: [:]][name.layer] = parts
    }
    guard !found.isEmpty else { throw ModelError("\(path) holds no tensors") }
    let notes = try LoRAMetadata(file.metadata, path: path)
    for (component, layers) in found {
      for (layer, parts) in layers {
        guard let downName = parts.down, let upName = parts.up else {
          throw ModelError(
            "\(path) is not a whole LoRA: of the layer '\(layer)' it has no \(parts.down == nil ? "down" : "up") part"
          )
        }
        let (down, up) = (try file.tensor(downName), try file.tensor(upName))
        guard down.shape.count >= 2, down.count > 0, up.count > 0, down.isFinite, up.isFinite
        else {
          throw ModelError("\(path): the layer '\(layer)' has no usable numbers")
        }
        let rank = Double(down.shape[0])
        let alpha =
          try parts.alpha.map { try number($0) } ?? notes.alpha(of: parts.path, component)
          ?? rank
        let scale = weight * alpha / (notes.usesRoots(component) ? rank.squareRoot() : rank)
        guard Float(scale).isFinite else {
          throw ModelError("\(path): the alpha of the layer '\(layer)' is too large: \(alpha)")
        }
        terms[component, default: [:]][layer] = LowRankTerm(
          up: up, down: down, scale: Float(scale))
      }
    }
  }

  var url: URL { file.url }

  /// Feeds what it makes of a model to a hash.
  func feed(_ hash: ContentHash) {
    hash.update("LoRA \(weight)")
    file.feedSample(to: hash)
  }

  private struct Parts {
    let path: String
    var down, up, alpha: String?

    init(_ path: String) { self.path = path }
  }

  private func number(_ name: String) throws -> Double {
    let tensor = try file.tensor(name)
    guard tensor.count == 1, tensor.isFinite else {
      throw ModelError("\(file.place): '\(name)' is not one number")
    }
    return Double(tensor.values[0])
  }
}
