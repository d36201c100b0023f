import Foundation
import Tensor
import Yams

extension DDIMScheduler.Prediction {
  /// What a checkpoint's metadata says (Stability AI's modelspec).
  init?(modelspec metadata: [String: String]) {
    switch metadata["modelspec.prediction_type"]?.lowercased() {
    case "epsilon", "eps": self = .epsilon
    case "v", "v_prediction", "v-prediction", "velocity": self = .velocity
    default:
      switch metadata["modelspec.architecture"] {
      case "stable-diffusion-v2-768-v": self = .velocity
      case "stable-diffusion-v2-512": self = .epsilon
      default: return nil
      }
    }
  }
}

/// The file beside a single-file checkpoint, NAME.yaml, that says what its UNet predicts: either
/// `prediction_type`, as diffusers' scheduler configs have it, or the configuration of the original
/// code, as other programs keep it there.
enum CheckpointNotes {
  static func url(of checkpoint: URL) -> URL {
    checkpoint.deletingPathExtension().appendingPathExtension("yaml")
  }

  /// - Returns: `nil` where there is no such file.
  static func prediction(of checkpoint: URL) throws -> DDIMScheduler.Prediction? {
    let url = url(of: checkpoint)
    let path = url.path(percentEncoded: false)
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    guard let data = RegularFile.contents(of: url, limit: 1 << 16),
      let text = String(data: data, encoding: .utf8),
      // Nobody needs an alias here, and one may stand for billions of values.
      !text.contains(/(^|[\s\[{,:])\*\w/), let node = try? Yams.compose(yaml: text)
    else { throw ModelError("\(path) is not a YAML file") }
    if let said = node["prediction_type"] {
      guard let prediction = said.string.flatMap(DDIMScheduler.Prediction.init(rawValue:)) else {
        throw ModelError(
          "\(path): 'prediction_type' takes epsilon or v_prediction, not \(said.string ?? "a list")"
        )
      }
      return prediction
    }
    guard let parameters = node["model"]?["params"] else {
      throw ModelError(
        "\(path) says neither 'prediction_type' nor 'model: params: parameterization'")
    }
    switch parameters["parameterization"]?.string ?? "eps" {
    case "eps": return .epsilon
    case "v": return .velocity
    case let other:
      throw ModelError(
        "\(path): 'parameterization' is \(other), which is not supported; supported is eps or v")
    }
  }

  private static func text(_ prediction: DDIMScheduler.Prediction) -> String {
    "prediction_type: \(prediction.rawValue)\n"
  }

  static func write(_ prediction: DDIMScheduler.Prediction, of checkpoint: URL) throws {
    let url = url(of: checkpoint)
    let path = url.path(percentEncoded: false)
    let present = FileManager.default.contents(atPath: path)
    let own = DDIMScheduler.Prediction.allCases.map { Data(text($0).utf8) }
    guard present.map(own.contains) ?? !FileManager.default.fileExists(atPath: path) else {
      throw ModelError(
        "\(path) is there already and says more: put the line '\(text(prediction).dropLast())' into it"
      )
    }
    do {
      try Data(text(prediction).utf8).write(to: url, options: .atomic)
    } catch {
      throw ModelError("\(path) cannot be written: \(error.localizedDescription)")
    }
  }
}
