import Foundation
import StableDiffusion
import Tensor
import VideoEditing

/// The computations that can be timed, each from inputs in a safetensors file in PyTorch's order.
struct BenchCases {
  let model: StableDiffusionModel

  func run(_ request: BenchRequest) throws -> BenchAnswer {
    let file = try SafetensorsFile(URL(fileURLWithPath: request.input))
    switch request.run {
    case .unet, .ddim:
      return try timed(request) { try unet(file, PlainProcessor()) }
    case .spatialTemporal:
      return try timed(request) { try unet(file, SpatialTemporalAttention()) }
    case .stem:
      let processor = TimedSTEMAttention(
        STEMAttention(bases: 256, iterations: 5) { path, shape in
          file.shape(of: "stem.noise.\(path)") == nil
            ? RandomNumbers(seed: 0, stream: path).normal(shape)
            : try file.tensor("stem.noise.\(path)").copied()
        })
      var answer = try timed(request) { try unet(file, processor) }
      answer.emSeconds = processor.seconds
      return answer
    case .encode:
      let images = try file.tensor("images").channelsLast()
      return try timed(request) { { model.autoencoder.encode(images) } }
    case .decode:
      let latents = try file.tensor("latents").channelsLast()
      return try timed(request) { { model.autoencoder.decode(latents) } }
    case .text:
      let shape = file.shape(of: "input_ids") ?? []
      guard shape.count == 2 else { throw WeightsError("'input_ids' has no two dimensions") }
      let ids = try file.integers("input_ids")
      let rows = (0..<shape[0]).map { Array(ids[$0 * shape[1]..<($0 + 1) * shape[1]]) }
      return try timed(request) { { model.textEncoder(rows) } }
    }
  }

  private func unet(_ file: SafetensorsFile, _ processor: some UNetProcessor) throws
    -> () throws -> Tensor
  {
    let sample = try file.tensor("sample").channelsLast()
    let context = try file.tensor("context").copied()
    let timestep = try file.integers("timestep")
    guard timestep.count == 1 else { throw WeightsError("'timestep' is not one number") }
    return { try model.unet(sample, timestep: timestep[0], context: context, processor: processor) }
  }

  /// - Parameter prepare: reads the inputs, and returns what is timed.
  private func timed(_ request: BenchRequest, prepare: () throws -> () throws -> Tensor) throws
    -> BenchAnswer
  {
    let compute = try prepare()
    let start = ContinuousClock.now
    let result = try compute()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    if let output = request.output {
      let url = URL(fileURLWithPath: output)
      _ = try SafetensorsFile.write(
        ["output": result.shape.count == 4 ? result.channelsFirst() : result],
        into: url.deletingLastPathComponent().path(percentEncoded: false),
        named: { _ in url.lastPathComponent })
    }
    return BenchAnswer(seconds: seconds)
  }
}

/// STEM's self-attention with a clock around its expectation maximisation.
private final class TimedSTEMAttention: UNetProcessor {
  private let attention: STEMAttention
  private(set) var seconds = 0.0

  init(_ attention: STEMAttention) { self.attention = attention }

  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws -> Tensor {
    let tokens = hiddenStates.reshaped([
      hiddenStates.shape[0] * hiddenStates.shape[1], hiddenStates.shape[2],
    ])
    let (keys, values) = (layer.toKeys(tokens), layer.toValues(tokens))
    let start = ContinuousClock.now
    let bases = try attention.bases(layer, keys: keys, values: values, at: site)
    seconds += (ContinuousClock.now - start) / .seconds(1)
    return layer.attend(
      queries: layer.toQueries(hiddenStates), keys: bases.keys, values: bases.values,
      bias: bases.bias)
  }
}
