import Foundation
import Tensor

/// What a folder or file holds, and what keeps it from being a model: everything, not only the
/// first.
public struct ModelInspection: Sendable {
  public struct Part: Sendable {
    public let name: String
    /// In bytes, by type (`F16`, …); of no tensors where it could not be read.
    public let storage: [String: Int]
    /// In bytes, once prepared; only where it was weighed.
    public let prepared: [Precision: Int]
    /// Why the part cannot be used.
    public let problem: String?
  }

  public private(set) var path: String
  /// Where the parts lie, in a few words.
  public private(set) var layout: String?
  /// Such as `Stable Diffusion 1.x`.
  public private(set) var family: String?
  public private(set) var takesInstructions = false
  public private(set) var prediction: DDIMScheduler.Prediction?
  /// Whether the model can be used as soon as somebody says what it predicts.
  public private(set) var asksForPrediction = false
  /// The side of the square pictures that the model was made for, in pixels.
  public private(set) var nativeSize: Int?
  public private(set) var parts: [Part] = []
  /// What is wrong besides the parts.
  public private(set) var problems: [String] = []
  /// Of an edit of some frames in the model's own size, besides the weights.
  public private(set) var editBytes: Int?

  /// How many frames `editBytes` are for.
  public static let editFrames = 16

  public var isUsable: Bool { allProblems.isEmpty }

  public var allProblems: [String] {
    // One cause may keep several parts from being read.
    (problems + parts.compactMap(\.problem)).reduce(into: []) {
      if !$0.contains($1) { $0.append($1) }
    }
  }

  /// The bytes of all parts, by type.
  public var storage: [String: Int] {
    parts.reduce(into: [:]) { $0.merge($1.storage, uniquingKeysWith: +) }
  }

  /// The bytes of all prepared weights in a precision, which all workers of a machine share; `nil`
  /// where a part could not be weighed.
  public func preparedBytes(_ precision: Precision) -> Int? {
    let bytes = parts.compactMap { $0.prepared[precision] }
    return bytes.count == parts.count && !bytes.isEmpty ? bytes.reduce(0, +) : nil
  }

  /// - Parameter weighing: whether also every tensor is looked for, and what it takes when prepared
  ///   is counted.
  public init(at url: URL, weighing: Bool = true) {
    path = url.path(percentEncoded: false)
    guard let source = attempt({ try StableDiffusionModel.source(at: url) }) else { return }
    inspect(source, weighing: weighing)
  }

  init(_ source: any ModelSource, weighing: Bool) {
    path = source.path
    inspect(source, weighing: weighing)
  }

  private mutating func inspect(_ source: any ModelSource, weighing: Bool) {
    (path, layout) = (source.path, source.layout)
    let checkpoint = source as? SingleFileCheckpoint
    asksForPrediction = checkpoint?.asksForPrediction ?? false
    family = checkpoint?.family
    var text: CLIPTextEncoder?
    var configuration: UNetConfiguration?
    let precisions: [Precision] =
      weighing && Precision.isMixedSupported ? [.full, .mixed] : [.full]
    add("text encoder", source.textEncoder, precisions: [.full]) { component, _, store in
      guard weighing else { return }
      text = try CLIPTextEncoder(component, store: store)
    }
    add("autoencoder", source.autoencoder, precisions: precisions) { component, precision, store in
      guard weighing else { return }
      _ = try AutoencoderKL(component, precision: precision, store: store)
    }
    add("UNet", source.unet, precisions: precisions) { component, precision, store in
      configuration = try UNetConfiguration(component.configuration)
      guard weighing else { return }
      _ = try UNet(component, precision: precision, store: store)
    }
    if let configuration {
      family = configuration.family
      takesInstructions = configuration.inputChannels == 2 * configuration.outputChannels
    }
    prediction = attempt { try DDIMScheduler(source.schedule()).prediction }
    guard weighing else { return }
    _ = attempt { try source.tokenizer(longest: text?.positions ?? 77) }
    guard isUsable else { return }
    // What does not fit together shows only in the whole.
    guard
      let model = attempt({
        try StableDiffusionModel(source) { _, _ in PreparedWeightsSize() }
      })
    else { return }
    nativeSize = model.nativeSize
    editBytes = model.estimatedBytes(
      frames: Self.editFrames, height: model.nativeSize, width: model.nativeSize)
  }

  private mutating func attempt<Value>(_ body: () throws -> Value) -> Value? {
    do {
      return try body()
    } catch {
      problems.append("\(error)")
      return nil
    }
  }

  /// - Parameter open: makes the network, which asks for all that it needs.
  private mutating func add(
    _ name: String, _ component: () throws -> ModelComponent, precisions: [Precision],
    open: (ModelComponent, Precision, PreparedWeightsSize) throws -> Void
  ) {
    var storage: [String: Int] = [:]
    var prepared: [Precision: Int] = [:]
    var problem: String?
    do {
      let component = try component()
      for file in component.files {
        for name in file.names where name.hasPrefix(component.prefix) {
          if let (type, bytes) = file.storage(of: name) { storage[type, default: 0] += bytes }
        }
      }
      for precision in precisions {
        let size = PreparedWeightsSize()
        try open(component, precision, size)
        prepared[precision] = size.bytes
      }
      // The text encoder computes in one precision, whatever the others do.
      if Precision.isMixedSupported, prepared[.mixed] == nil { prepared[.mixed] = prepared[.full] }
    } catch {
      problem = "\(error)"
    }
    parts.append(Part(name: name, storage: storage, prepared: prepared, problem: problem))
  }
}

extension UNetConfiguration {
  /// By the width of the texts that it reads.
  fileprivate var family: String {
    switch contextWidth {
    case 768: OriginalArchitecture.version1.name
    case 1024: OriginalArchitecture.version2.name
    case let width: "like Stable Diffusion, for texts \(width) wide"
    }
  }
}
