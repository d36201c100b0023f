/// What the tensors of a single-file checkpoint do not tell by their shapes.
struct OriginalArchitecture: Sendable {
  enum Heads: Sendable {
    case count(Int)
    case channels(Int)
  }

  let name: String
  /// Of the UNet's attention.
  var heads: Heads
  var textHeadChannels = 64
  /// The token that fills prompts up.
  let padding: CLIPTokenizer.Padding
  /// What the UNet predicts, where nothing says so; `nil` where it has to be said.
  let prediction: DDIMScheduler.Prediction?

  static let version1 = Self(
    name: "Stable Diffusion 1.x", heads: .count(8), padding: .endOfText, prediction: .epsilon)
  static let version2 = Self(
    name: "Stable Diffusion 2.x", heads: .channels(64), padding: .exclamationMark, prediction: nil)

  func unetHeads(of channels: Int, place: String) throws -> Int {
    switch heads {
    case .count(let count): return count
    case .channels(let size):
      guard channels % size == 0 else {
        throw ModelError(
          "\(place): \(channels) channels of its UNet are not whole heads of \(size), as in \(name)"
        )
      }
      return channels / size
    }
  }

  /// The side of the latents that the model was made for.
  func sampleSize(_ prediction: DDIMScheduler.Prediction) -> Int {
    // 2.x that predict velocities were made for 768 pixels, all others for 512.
    self.prediction == nil && prediction == .velocity ? 96 : 64
  }
}
