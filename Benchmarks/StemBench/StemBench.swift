import ArgumentParser
import Foundation
import StableDiffusion
import Tensor

/// Computes on request and tells how long it took. The peers' programs beside this one speak the
/// same lines, so that whoever compares can let them take turns.
struct StemBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stem-bench",
    abstract: "Time a model's parts: JSON requests in, a line each; JSON answers out.",
    discussion:
      "A request names what to run ('unet', 'ddim', 'stem', 'spatial-temporal', 'encode', 'decode', 'text'), the safetensors file of its inputs and, where wanted, one for its output. Loading and saving are not in the seconds."
  )

  @Argument(help: "The model folder.", completion: .directory)
  var model: String

  @Option(help: "'full' or 'mixed'.")
  var precision: Precision = .full

  @Option(help: "Threads to compute with (default: one per processor).")
  var threads: Int?

  func validate() throws {
    if precision == .mixed, !Precision.isMixedSupported {
      throw ValidationError("This processor has no bf16 products: take --precision full.")
    }
  }

  func run() throws {
    if let threads { Parallel.threads = threads }
    let cases = BenchCases(
      model: try StableDiffusionModel(at: URL(fileURLWithPath: model), precision: precision))
    let encoder = JSONEncoder()
    while let line = readLine() {
      let answer: BenchAnswer
      do {
        answer = try cases.run(JSONDecoder().decode(BenchRequest.self, from: Data(line.utf8)))
      } catch {
        answer = BenchAnswer(error: String(describing: error))
      }
      print(String(decoding: try encoder.encode(answer), as: UTF8.self))
      fflush(nil)
    }
  }
}

extension Precision: ExpressibleByArgument {}

struct BenchRequest: Decodable {
  enum Run: String, Decodable {
    case unet, ddim, stem, encode, decode, text
    case spatialTemporal = "spatial-temporal"
  }

  let run: Run
  let input: String
  let output: String?
}

struct BenchAnswer: Encodable {
  var seconds: Double?
  /// Of the seconds, those that expectation maximisation took.
  var emSeconds: Double?
  var error: String?

  enum CodingKeys: String, CodingKey {
    case seconds, error
    case emSeconds = "em_seconds"
  }
}
