import Foundation
import Tensor

/// What a model is opened from: its components' configurations and weights, as diffusers names
/// them, however its files are laid out.
///
/// Every reading throws `ModelError` or `WeightsError`: a sentence that names what is missing or not
/// supported.
public protocol ModelSource: Sendable {
  /// For messages.
  var path: String { get }

  /// Where its parts lie, in a few words.
  var layout: String { get }

  func textEncoder() throws -> ModelComponent
  func autoencoder() throws -> ModelComponent
  func unet() throws -> ModelComponent

  /// The noise schedule, as diffusers' scheduler configs describe it.
  func schedule() throws -> ComponentConfiguration

  /// - Parameter longest: how many positions the text encoder has.
  func tokenizer(longest: Int) throws -> CLIPTokenizer

  /// What compares pictures with each other and with texts; `nil` where the model comes without.
  /// Nothing that an edit needs, so that it is no part of `identity` either.
  func similarity() throws -> CLIPSimilarity?

  /// A hash that tells a model from every other, wherever its files lie: of all that is configured,
  /// and of a sample of the weights that reaches every tensor. Reading gigabytes of weights whole
  /// would take longer than many an edit.
  func identity() throws -> String

  /// All files that it is read from.
  var files: [URL] { get }

  /// To be called when everything that a model needs has been asked for.
  /// - Throws: `ModelError` where there is something left that was to count.
  func checkAllUsed() throws
}

extension ModelSource {
  public func checkAllUsed() throws {}

  public func similarity() throws -> CLIPSimilarity? { nil }
}

/// One network of a model.
public struct ModelComponent: Sendable {
  public let configuration: ComponentConfiguration
  public let weights: any TensorSource
  let files: [SafetensorsFile]
  /// How the names of its tensors begin in these files.
  let prefix: String
}
