import Foundation
import StableDiffusion
import Tensor
import Testing
import VideoEditing

/// What authors' code gave on the repository's model; `Tests/References` says how.
struct EditorGolden {
  private let file: SafetensorsFile

  init(_ name: String) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    file = try SafetensorsFile(folder.appending(path: "Goldens/\(name).safetensors"))
  }

  /// Laid out as in the file.
  func tensor(_ name: String) throws -> Tensor { try file.tensor(name) }

  func integers(_ name: String) throws -> [Int] { try file.integers(name) }

  func number(_ name: String) throws -> Double {
    try #require(file.metadata[name].flatMap(Double.init))
  }

  /// Latents of frames, (frames, height, width, channels).
  func latents(_ name: String) throws -> Tensor { try tensor(name).channelsLast() }

  /// Latents of frames by step.
  func steps(_ name: String) throws -> [Tensor] {
    let all = try tensor(name)
    return (0..<all.shape[0]).map {
      all.rows($0..<$0 + 1).reshaped(Array(all.shape.dropFirst())).channelsLast()
    }
  }

  /// Without a source prompt; the contexts are the file's rows.
  func prompts() throws -> Prompts {
    let hidden = try tensor("text.hidden")
    func prompt(_ row: Int) -> Prompts.Prompt {
      Prompts.Prompt("", context: hidden.rows(row..<row + 1))
    }
    return Prompts(source: prompt(0), negative: prompt(0), target: prompt(1))
  }

  /// A clip of which only its noise matters.
  func clip(inverted: Tensor, steps: Int, for model: StableDiffusionModel) throws -> InvertedClip {
    InvertedClip(
      trajectory: Trajectory(
        timesteps: try model.scheduler.timesteps(steps),
        latents: Array(repeating: inverted, count: steps), clean: inverted),
      prompts: try prompts())
  }
}

/// ‖ours − theirs‖₂ / ‖theirs‖₂.
func relativeError(_ ours: Tensor, _ theirs: Tensor) -> Double {
  guard ours.shape == theirs.shape else { return .infinity }
  func norm(_ values: [Float]) -> Double {
    values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
  }
  return norm((ours - theirs).values) / norm(theirs.values)
}
