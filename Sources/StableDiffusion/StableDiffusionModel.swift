import Foundation
import Tensor

/// A whole latent diffusion model.
public struct StableDiffusionModel: Sendable {
  public let tokenizer: CLIPTokenizer
  public let textEncoder: CLIPTextEncoder
  public let autoencoder: AutoencoderKL
  public let unet: UNet
  public let scheduler: DDIMScheduler
  /// For models that take instructions.
  public let ancestralScheduler: EulerAncestralScheduler
  /// Tells this model's contents from every other's, on any machine.
  public let identity: String
  /// In what its UNet and autoencoder compute; the text encoder, which costs next to nothing, always
  /// in full precision.
  public let precision: Precision
  private let source: any ModelSource

  /// - Parameters:
  ///   - precision: `.mixed` only where `Precision.isMixedSupported`.
  ///   - store: for a component's name and a precision, where its prepared weights are kept; `nil`
  ///     to make them when first needed.
  /// - Throws: `ModelError` or `WeightsError`: a sentence that names the missing file or tensor,
  ///   the wrong shape or the unsupported option.
  public init(
    _ source: any ModelSource, precision: Precision = .full,
    store: (_ component: String, Precision) throws -> (any PreparedWeightsStore)? = { _, _ in nil }
  ) throws {
    (self.precision, self.source) = (precision, source)
    let path = source.path
    identity = try source.identity()
    // What can be wrong without the weights is, before these are prepared.
    let schedule = try source.schedule()
    scheduler = try DDIMScheduler(schedule)
    ancestralScheduler = try EulerAncestralScheduler(schedule, schedule: scheduler)
    let unetComponent = try source.unet()
    try Self.check(unetComponent.configuration, source.autoencoder().configuration, path)
    textEncoder = try CLIPTextEncoder(
      source.textEncoder(), store: store("text_encoder", .full))
    tokenizer = try source.tokenizer(longest: textEncoder.positions)
    autoencoder = try AutoencoderKL(
      source.autoencoder(), precision: precision, store: store("vae", precision))
    unet = try UNet(
      unetComponent, precision: precision, store: store("unet", precision))
    try source.checkAllUsed()
    guard tokenizer.vocabularySize <= textEncoder.vocabularySize else {
      throw ModelError(
        "\(path): the tokenizer has \(tokenizer.vocabularySize) tokens, but the text encoder only \(textEncoder.vocabularySize)"
      )
    }
    guard unet.contextWidth == textEncoder.width else {
      throw ModelError(
        "\(path): the UNet reads a text of width \(unet.contextWidth), but the text encoder writes \(textEncoder.width)"
      )
    }
  }

  /// Whether the UNet works on the autoencoder's latents.
  private static func check(
    _ unet: ComponentConfiguration, _ autoencoder: ComponentConfiguration, _ path: String
  ) throws {
    let unet = try UNetConfiguration(unet)
    let channels = try AutoencoderKL.latentChannels(autoencoder)
    guard
      unet.inputChannels != channels && unet.inputChannels != 2 * channels
        || unet.outputChannels != channels
    else { return }
    if unet.outputChannels == channels,
      let other = OtherModels.name(unetOf: unet.inputChannels, latents: channels)
    {
      throw OtherModels.refusal(of: path, other)
    }
    throw ModelError(
      "\(path): the UNet takes \(unet.inputChannels) channels and gives \(unet.outputChannels), but the latents have \(channels); such a UNet is not supported"
    )
  }

  /// Opens a model, whatever its layout.
  public init(at url: URL, precision: Precision = .full) throws {
    try self.init(Self.source(at: url), precision: precision)
  }

  /// What a model is opened from: a folder in diffusers' layout, or a single safetensors file.
  ///
  /// - Parameter loras: files of what changes it, and how strongly.
  /// - Throws: as `init`, where there is neither, or a LoRA cannot be used.
  public static func source(at url: URL, loras: [URL: Double]) throws -> any ModelSource {
    let base = try source(at: url)
    return loras.isEmpty ? base : try ModelWithLoRAs(base, loras: loras)
  }

  /// The same without LoRAs.
  public static func source(at url: URL) throws -> any ModelSource {
    let path = url.path(percentEncoded: false)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw ModelError("there is no model \(path)")
    }
    if isFolder.boolValue { return try DiffusersFolder(url) }
    guard RegularFile.isAt(path) else {
      throw ModelError("\(path) is neither a folder nor a file")
    }
    if PickledWeights.isPickled(url) { throw PickledWeights.refusal(of: url) }
    return try SingleFileCheckpoint(url)
  }

  /// The text's hidden states as the UNet's context, (prompts, tokens, width).
  public func encode(_ prompts: [String]) -> Tensor { textEncoder(prompts.map(tokenizer.encode)) }

  /// Opens what compares pictures with each other and with texts; `nil` where the model comes
  /// without.
  /// - Throws: `ModelError` or `WeightsError`, where it cannot be used.
  public func similarity() throws -> CLIPSimilarity? { try source.similarity() }

  /// Whether its UNet sees a picture's latents beside the noisy ones, and its prompt says what to do
  /// with that picture, as InstructPix2Pix's does.
  public var takesInstructions: Bool { unet.inputChannels == 2 * autoencoder.latentChannels }

  /// The side of the square pictures that the model was made for, in pixels.
  public var nativeSize: Int { unet.sampleSize * autoencoder.scale }

  /// About how much memory an edit takes at its widest: frames at once in the UNet's first level
  /// (skip connections, and the operands of its widest operation), or one picture in the
  /// autoencoder's.
  public func estimatedBytes(frames: Int, height: Int, width: Int) -> Int {
    let (pixels, scale) = (Double(height) * Double(width), Double(autoencoder.scale))
    let latents = Double(frames) * pixels / (scale * scale)
    let inUNet = latents * Double(unet.firstChannels) * 16 * 4
    let inAutoencoder = pixels * Double(autoencoder.firstChannels) * 5 * 4
    return Int(min(1e18, max(inUNet, inAutoencoder)))
  }
}
