import Foundation

/// The tensors of one component of a model, addressed by their path as PyTorch's modules are:
/// `weights["down_blocks.0"]["resnets.1"]`.
public struct Weights: Sendable {
  private let file: SafetensorsFile
  private let prefix: String

  public init(_ file: SafetensorsFile, prefix: String = "") {
    (self.file, self.prefix) = (file, prefix)
  }

  /// The weights below `path`.
  public subscript(path: String) -> Weights { Weights(file, prefix: prefix + path + ".") }

  /// Which file and which part of it, for messages.
  public var place: String { "\(file.url.path(percentEncoded: false)), '\(prefix.dropLast())'" }

  public func has(_ name: String) -> Bool { file.shape(of: prefix + name) != nil }

  public func hasShape(_ name: String, _ shape: [Int]) -> Bool {
    file.shape(of: prefix + name) == shape
  }

  /// - Throws: `WeightsError` naming the file and the tensor, where it is missing or has another
  ///   shape.
  public func tensor(_ name: String, shape: [Int]) throws -> Tensor {
    let path = prefix + name
    guard let found = file.shape(of: path) else {
      throw WeightsError(
        "\(file.url.path(percentEncoded: false)) has no tensor '\(path)' (of shape \(shape))")
    }
    guard found == shape else {
      throw WeightsError(
        "\(file.url.path(percentEncoded: false)): tensor '\(path)' has the shape \(found), but the model's config asks for \(shape)"
      )
    }
    return try file.tensor(path)
  }
}
