import Foundation
import Testing

@testable import StableDiffusion
@testable import Tensor

@Suite struct ModelInspectionTests {
  @Test("a model that is whole says what it is, and what it takes")
  func whole() throws {
    let found = ModelInspection(at: TinyWorld.folder)
    #expect(found.allProblems == [])
    #expect(found.parts.map(\.name) == ["text encoder", "autoencoder", "UNet"])
    #expect(found.prediction == .epsilon && !found.takesInstructions && !found.asksForPrediction)
    #expect(found.nativeSize == 128)
    let bytes = found.storage.values.reduce(0, +)
    let files = try [
      "text_encoder/model", "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model",
    ]
    .reduce(0) { sum, name in
      let attributes = try FileManager.default.attributesOfItem(
        atPath: TinyWorld.folder.appending(path: name + ".safetensors").path)
      return sum + (attributes[.size] as? Int ?? 0)
    }
    #expect(bytes <= files && bytes > files * 9 / 10)
  }

  @Test(
    "the memory that it says is what the prepared weights take",
    arguments: Precision.isMixedSupported ? [Precision.full, .mixed] : [.full])
  func weighs(precision: Precision) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    _ = try PreparedModelCache(folder: folder) { Issue.record("\($0)") }.model(
      DiffusersFolder(TinyWorld.folder), precision: precision)
    var bytes = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: folder)
    where name.hasSuffix(".weights") {
      let file = try SafetensorsFile(URL(fileURLWithPath: "\(folder)/\(name)"))
      // What fills up pages is of another type.
      for name in file.names {
        if let stored = file.storage(of: name), stored.type == "F32" { bytes += stored.bytes }
      }
    }
    let said = ModelInspection(at: TinyWorld.folder).preparedBytes(precision)
    #expect(bytes > 1 << 20 && said == bytes)
  }

  @Test("everything that is wrong is said, not only the first")
  func broken() throws {
    let model = try DamagedModel()
    try model.remove("vae/diffusion_pytorch_model.safetensors")
    try model.write("{}", to: "text_encoder/config.json")
    try model.set("prediction_type", "sample", in: "scheduler/scheduler_config.json")
    try model.remove("tokenizer/merges.txt")
    let problems = ModelInspection(at: model.folder).allProblems
    #expect(problems.count == 4)
    for named in ["vae", "hidden_size", "prediction_type", "merges.txt"] {
      #expect(problems.contains { $0.contains(named) }, "\(named) in \(problems)")
    }
  }

  @Test(
    "a tensor that is missing shows where it is weighed, and parts that do not fit together too")
  func subtle() throws {
    let model = try DamagedModel()
    try model.rewrite("unet/diffusion_pytorch_model.safetensors") { tensors in
      tensors.renamed { $0 == "conv_out.bias" ? nil : $0 }
    }
    #expect(ModelInspection(at: model.folder).allProblems.first?.contains("conv_out.bias") == true)
    #expect(ModelInspection(at: model.folder, weighing: false).isUsable)
    let other = try DamagedModel()
    try other.set("out_channels", 5, in: "unet/config.json")
    try other.rewrite("unet/diffusion_pytorch_model.safetensors") { tensors in
      var tensors = tensors
      tensors.entries["conv_out.weight"] = .init(
        type: "F16", shape: [5, 64, 3, 3], bytes: Data(count: 5 * 64 * 9 * 2))
      tensors.entries["conv_out.bias"] = .init(type: "F16", shape: [5], bytes: Data(count: 10))
      return tensors
    }
    #expect(ModelInspection(at: other.folder).allProblems.first?.contains("gives 5") == true)
  }

  @Test(
    "a checkpoint asks for what it predicts, is told, and told again, but overwrites nobody's notes"
  )
  func prediction() throws {
    let layout = try OriginalLayout(.second)
    let checkpoint = try layout.written()
    func found() throws -> ModelInspection {
      ModelInspection(try layout.source(checkpoint), weighing: true)
    }
    let asking = try found()
    #expect(asking.asksForPrediction && !asking.isUsable && asking.allProblems.count == 1)
    for prediction in [DDIMScheduler.Prediction.velocity, .epsilon] {
      try SingleFileCheckpoint.write(prediction, beside: checkpoint)
      let told = try found()
      #expect(told.allProblems == [] && !told.asksForPrediction && told.prediction == prediction)
      #expect(told.nativeSize == (prediction == .epsilon ? 512 : 768))
      #expect(told.parts.allSatisfy { !$0.storage.isEmpty })
    }
    try layout.folder.write("model: {params: {parameterization: v}}", to: "model.yaml")
    #expect(throws: ModelError.self) {
      try SingleFileCheckpoint.write(.epsilon, beside: checkpoint)
    }
    #expect(try found().prediction == .velocity)
  }
}
