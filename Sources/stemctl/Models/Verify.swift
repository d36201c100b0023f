import ArgumentParser
import Foundation
import StableDiffusion
import Tensor
import VideoEditing

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare a model's components with reference numbers from PyTorch.",
    discussion:
      "Prints each tensor's relative L2 error and tolerance; exits with 1 if any is not within it."
  )

  @Argument(
    help: "A model's folder or file, or the name of one in the models' folder.",
    completion: .file(extensions: ["safetensors"]))
  var model: String

  @Argument(help: "The golden file.", completion: .file(extensions: ["safetensors"]))
  var golden: String

  @Option(help: "Threads to compute with (default: one per processor).")
  var threads: Int?

  @Option(
    help: "In what to compute; mixed needs a processor that supports it.")
  var precision = Precision.full

  func validate() throws {
    if precision == .mixed, !Precision.isMixedSupported {
      throw ValidationError(
        "--precision mixed needs a processor that multiplies 16-bit brain floats (avx512_bf16), which this one does not: take full."
      )
    }
    try OptionChecks.threads(threads)
  }

  func run() throws {
    if let threads { Parallel.threads = threads }
    let verification = Verification(
      model: try StableDiffusionModel(
        at: modelURL(of: model), precision: precision),
      golden: try SafetensorsFile(URL(fileURLWithPath: golden)))
    print("tensor".padded(24) + "error".padded(12) + "tolerance".padded(12))
    let passed = try verification.run { outcome in
      switch outcome {
      case .compared(let row):
        print(
          row.name.padded(24) + Self.scientific(row.error).padded(12)
            + Self.scientific(row.tolerance).padded(12) + (row.passes ? "ok" : "NOT OK"))
      case .skipped(let name, let missing):
        print(name.padded(24) + "skipped: the file does not hold \(missing)")
      case .unusable(let name, let reason):
        print(name.padded(24) + "NOT OK: \(reason)")
      }
    }
    guard passed else { throw ExitCode(1) }
  }

  private static func scientific(_ value: Double) -> String {
    value == 0 ? "0" : String(format: "%.2e", value)
  }
}

extension Precision: ExpressibleByArgument {}

extension String {
  fileprivate func padded(_ width: Int) -> String {
    self + String(repeating: " ", count: max(1, width - count))
  }
}
