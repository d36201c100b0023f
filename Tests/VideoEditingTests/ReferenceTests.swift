import Foundation
import StableDiffusion
import Tensor
import Testing
import VideoEditing

/// The repository's own model.
enum TinyWorld {
  private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  static let model = Result {
    try StableDiffusionModel(
      folder: tests.deletingLastPathComponent().deletingLastPathComponent().appending(
        path: "Models/tiny-world"))
  }
  static let golden = tests.appending(path: "Goldens/tiny-world-104x72.safetensors")
}

@Suite struct ReferenceTests {
  /// Five frames of 104x72: nothing is square, even or a whole group.
  @Test("every component, inversion and TokenFlow agree with PyTorch and diffusers")
  func everythingAgrees() throws {
    var names: [String] = []
    let passed = try Verification(
      model: TinyWorld.model.get(), golden: SafetensorsFile(TinyWorld.golden)
    ).run { outcome in
      switch outcome {
      case .compared(let row):
        names.append(row.name)
        #expect(row.passes, "\(row.name): \(row.error) is more than \(row.tolerance)")
      case .skipped(let name, let missing):
        Issue.record("\(name) was skipped for want of \(missing)")
      }
    }
    #expect(passed)
    #expect(names.count == 18)
  }

  @Test(
    "verification fails where the numbers are another model's, and where there is nothing to compare"
  )
  func verificationCanFail() throws {
    let golden = try SafetensorsFile(TinyWorld.golden)
    // Any file of weights is a golden file that holds none of the tensors.
    let unrelated = try SafetensorsFile(
      TinyWorld.golden.deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Models/tiny-world/text_encoder/model.safetensors"))
    #expect(try Verification(model: TinyWorld.model.get(), golden: unrelated).run { _ in } == false)
    // Rows that compare a latent's noise with itself at another step differ.
    let (a, b) = (try golden.tensor("ddim.inverted"), try golden.tensor("st.inverted"))
    #expect(a.values != b.values)
  }
}
