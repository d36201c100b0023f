import Foundation
import Tensor

/// A whole model in one safetensors file, in the layout of the original latent-diffusion code, as it
/// is handed around; mapped, not converted. What diffusers keeps in configs is found out from the
/// tensors.
public struct SingleFileCheckpoint: ModelSource {
  let file: SafetensorsFile
  private let text: OriginalTextEncoder?
  private let architecture: OriginalArchitecture
  private let makeTokenizer:
    @Sendable (CLIPTokenizer.Padding, _ longest: Int) throws -> CLIPTokenizer

  /// - Throws: `ModelError` where the file holds something else, naming it; `WeightsError` where it
  ///   cannot be read.
  public init(_ url: URL) throws {
    try self.init(url, architecture: nil) {
      CLIPTokenizer(builtInWithPadding: $0, length: $1)
    }
  }

  /// - Parameters:
  ///   - architecture: `nil` to find it out.
  ///   - tokenizer: makes it from the token that fills prompts up and the text encoder's positions.
  init(
    _ url: URL, architecture: OriginalArchitecture?,
    tokenizer: @escaping @Sendable (CLIPTokenizer.Padding, _ longest: Int) throws -> CLIPTokenizer
  ) throws {
    file = try SafetensorsFile(url)
    makeTokenizer = tokenizer
    let (names, place) = (file.names, file.place)
    if let other = OtherModels.name(checkpoint: names) {
      throw OtherModels.refusal(of: place, other)
    }
    let prefixes = [OriginalUNet.prefix, OriginalAutoencoder.prefix, "cond_stage_model."]
    let found = prefixes.filter { prefix in names.contains { $0.hasPrefix(prefix) } }
    guard
      found.contains(OriginalUNet.prefix) || names.contains(where: { $0.hasPrefix("model_ema.") })
    else {
      throw OtherModels.refusal(
        of: place,
        found.isEmpty
          ? "of an unknown kind (its first tensor is '\(names.first ?? "")')"
          : found == prefixes.suffix(1)
            ? "only the text encoder of a model" : "a model without its UNet")
    }
    text = OriginalTextEncoder { [file] in file.shape(of: $0) }
    self.architecture = architecture ?? (text?.isOpenCLIP == true ? .version2 : .version1)
    // Activation and heads of transformers' CLIP are 1.x's.
    if let text, !text.isOpenCLIP, text.width == 1024 {
      throw ModelError(
        "\(place): its text encoder is of Stable Diffusion 2.x, but named as that of 1.x is, which is not supported: convert the model to a folder with diffusers"
      )
    }
  }

  public var path: String { file.place }

  var family: String { architecture.name }

  public var files: [URL] { [file.url, CheckpointNotes.url(of: file.url)] }

  public var layout: String { "one file, in the original layout" }

  public func textEncoder() throws -> ModelComponent {
    guard let text else { throw missing }
    return ModelComponent(
      configuration: text.configuration(architecture, place: path),
      weights: RenamedTensors(file, origin: text.origin), files: [file], prefix: text.prefix)
  }

  public func autoencoder() throws -> ModelComponent {
    guard has(OriginalAutoencoder.prefix) else { throw missing }
    let original = try OriginalAutoencoder(place: path) {
      file.shape(of: OriginalAutoencoder.prefix + $0)
    }
    return ModelComponent(
      configuration: original.configuration(place: path),
      weights: RenamedTensors(file) { [names = original.names] name in
        .init(
          OriginalAutoencoder.prefix + names.original(of: name),
          isMatrix: name.contains(".attentions."))
      }, files: [file], prefix: OriginalAutoencoder.prefix)
  }

  public func unet() throws -> ModelComponent {
    guard has(OriginalUNet.prefix) else { throw missing }
    let original = try OriginalUNet(place: path) { file.shape(of: OriginalUNet.prefix + $0) }
    return ModelComponent(
      configuration: try original.configuration(
        architecture, sampleSize: architecture.sampleSize(prediction()), place: path),
      weights: RenamedTensors(file) { [names = original.names] name in
        .init(OriginalUNet.prefix + names.original(of: name))
      }, files: [file], prefix: OriginalUNet.prefix)
  }

  public func schedule() throws -> ComponentConfiguration {
    // All of 1.x and 2.x were trained with this one.
    ComponentConfiguration(
      [
        "beta_start": .real(0.00085), "beta_end": .real(0.012),
        "beta_schedule": .string("scaled_linear"), "num_train_timesteps": .whole(1000),
        "steps_offset": .whole(1), "set_alpha_to_one": .flag(false),
        "prediction_type": .string(try prediction().rawValue),
      ], place: path)
  }

  public func tokenizer(longest: Int) throws -> CLIPTokenizer {
    guard longest >= 2 else {
      throw ModelError("\(path): its text encoder has no room for a prompt")
    }
    return try makeTokenizer(architecture.padding, longest)
  }

  public func identity() throws -> String {
    let hash = ContentHash()
    hash.update("single file, \(architecture.name), \(try prediction().rawValue)")
    file.feedSample(to: hash)
    return hash.finish()
  }

  /// What the UNet predicts: as the file beside the checkpoint says, its metadata, or as all of its
  /// family do.
  private func prediction() throws -> DDIMScheduler.Prediction {
    if let prediction = try CheckpointNotes.prediction(of: file.url)
      ?? DDIMScheduler.Prediction(modelspec: file.metadata) ?? architecture.prediction
    {
      return prediction
    }
    let notes = CheckpointNotes.url(of: file.url).lastPathComponent
    throw ModelError(
      "\(path) is a model of \(architecture.name), and does not say what it predicts: velocities, as 2.0 and 2.1 do (768 pixels), or noise, as 2.0-base and 2.1-base do (512 pixels); say so in a file \(notes) beside it that holds 'prediction_type: v_prediction' or 'prediction_type: epsilon', or let this write it: stemctl models inspect \(path.shellQuoted) --prediction-type v_prediction"
    )
  }

  /// Writes what a checkpoint predicts into the file beside it.
  ///
  /// - Throws: `ModelError`, where there is a file that somebody else wrote.
  public static func write(_ prediction: DDIMScheduler.Prediction, beside checkpoint: URL) throws {
    try CheckpointNotes.write(prediction, of: checkpoint)
  }

  /// Whether nothing says what the UNet predicts.
  public var asksForPrediction: Bool {
    architecture.prediction == nil && DDIMScheduler.Prediction(modelspec: file.metadata) == nil
      && (try? CheckpointNotes.prediction(of: file.url)) == .some(nil)
  }

  private func has(_ prefix: String) -> Bool { file.names.contains { $0.hasPrefix(prefix) } }

  /// What of a model the file does not hold.
  private var missing: ModelError {
    var parts: [String] = []
    if !has(OriginalUNet.prefix) { parts.append("UNet (\(OriginalUNet.prefix)*)") }
    if !has(OriginalAutoencoder.prefix) {
      parts.append("autoencoder (\(OriginalAutoencoder.prefix)*)")
    }
    if text == nil { parts.append("text encoder (cond_stage_model.*)") }
    let average =
      !has(OriginalUNet.prefix) && has("model_ema.")
      ? ", only its average over the training (model_ema.*)" : ""
    return ModelError(
      "\(path) is not a whole model: it has no \(parts.joined(separator: " and no "))\(average); take a version of the model that has all parts"
    )
  }
}
