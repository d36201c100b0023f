import Foundation
import StableDiffusion
import Tensor

/// A file of reference numbers, read with suspicion: every tensor's rank and sizes and every number
/// are checked against the model before anything is computed with them.
struct GoldenFile {
  /// The file does not hold it: no error, but nothing can be compared.
  struct Missing: Error { let name: String }

  private let file: SafetensorsFile
  private let model: StableDiffusionModel

  init(_ file: SafetensorsFile, for model: StableDiffusionModel) {
    (self.file, self.model) = (file, model)
  }

  /// Any of a tensor's sizes in `shape`: just this one, or at least one.
  enum Size {
    case exactly(Int)
    case any
  }

  /// - Throws: `Missing`; `WeightsError` where the shape is not as asked or a size is 0.
  func shape(_ name: String, _ wanted: [Size]) throws -> [Int] {
    guard let shape = file.shape(of: name) else { throw Missing(name: name) }
    let fits = zip(shape, wanted).allSatisfy { size, wanted in
      if case .exactly(let exact) = wanted { return size == exact }
      return size > 0
    }
    guard shape.count == wanted.count, fits, !shape.contains(0) else {
      let text = wanted.map { if case .exactly(let size) = $0 { "\(size)" } else { "any" } }
      throw wrong(name, "has the shape \(shape), not (\(text.joined(separator: ", ")))")
    }
    return shape
  }

  func tensor(_ name: String, _ wanted: [Size]) throws -> Tensor {
    _ = try shape(name, wanted)
    return try file.tensor(name)
  }

  /// (n, channels, height, width) as (n, height, width, channels).
  func pictures(_ name: String, channels: Int, multipleOf multiple: Int = 1) throws -> Tensor {
    let shape = try shape(name, [.any, .exactly(channels), .any, .any])
    guard shape[2] % multiple == 0, shape[3] % multiple == 0 else {
      throw wrong(name, "has the shape \(shape); height and width must be multiples of \(multiple)")
    }
    return try file.tensor(name).channelsLast()
  }

  /// A text's hidden states, (prompts, tokens, width).
  func context(_ name: String, prompts: Size) throws -> Tensor {
    try tensor(name, [prompts, .any, .exactly(model.unet.contextWidth)])
  }

  func integers(_ name: String, _ wanted: [Size], in range: Range<Int>) throws -> [Int] {
    _ = try shape(name, wanted)
    let values = try file.integers(name)
    guard let outside = values.first(where: { !range.contains($0) }) else { return values }
    throw wrong(
      name, "holds \(outside), which is not in \(range.lowerBound) ..< \(range.upperBound)")
  }

  func text(_ key: String) throws -> String {
    guard let text = file.metadata[key] else { throw Missing(name: "metadata '\(key)'") }
    return text
  }

  func number(_ key: String, in range: ClosedRange<Double>) throws -> Double {
    guard let number = Double(try text(key)), range.contains(number) else {
      throw wrong(
        "metadata \(key)",
        "is '\(try text(key))', not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func whole(_ key: String, in range: ClosedRange<Int>) throws -> Int {
    Int(try number(key, in: Double(range.lowerBound)...Double(range.upperBound)))
  }

  func wrong(_ name: String, _ reason: String) -> WeightsError {
    WeightsError("\(file.url.path(percentEncoded: false)): '\(name)' \(reason)")
  }

  /// ‖ours − theirs‖₂ / ‖theirs‖₂; infinite where a number is not finite or the shapes differ.
  func relativeError(of ours: Tensor, to name: String) throws -> Double {
    guard file.shape(of: name) != nil else { throw Missing(name: name) }
    let theirs = try file.tensor(name)
    guard ours.shape == theirs.shape, ours.count > 0 else { return .infinity }
    var (difference, size) = (0.0, 0.0)
    for (a, b) in zip(ours.values, theirs.values) {
      difference += (Double(a) - Double(b)) * (Double(a) - Double(b))
      size += Double(b) * Double(b)
    }
    if difference == 0 { return 0 }
    let error = (difference / size).squareRoot()
    return error.isFinite ? error : .infinity
  }
}
