import Foundation
import JobQueue
import Testing

/// Models as folders and as files, where the daemon finds them and a worker opens them.
@Suite(.serialized) struct ModelServiceTests {
  private let folder = FileManager.default.temporaryDirectory.appending(
    path: "models-\(UUID().uuidString)")

  /// A safetensors file of one number.
  private static func file(of tensor: String) -> Data {
    let header = #"{"\#(tensor)":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
    return withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
      + Data(header.utf8) + Data(count: 4)
  }

  /// - Returns: a service whose models' folder has a link, files that are no models, and one beside
  ///   it.
  private func service() throws -> Service {
    let models = folder.appending(path: "models")
    try FileManager.default.createDirectory(at: models, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      at: models.appending(path: "linked"),
      withDestinationURL: Service.models.appending(path: "tiny-world"))
    try Self.file(of: "control_model.x").write(to: models.appending(path: "control.safetensors"))
    try Self.file(of: "first_stage_model.x").write(to: models.appending(path: "part.safetensors"))
    try Data("anything".utf8).write(to: models.appending(path: "old.ckpt"))
    try Self.file(of: "secret.x").write(to: folder.appending(path: "secret.safetensors"))
    return try Service(options: [
      "--models", models.path(percentEncoded: false), "--default-model", "linked",
    ])
  }

  @Test(
    "a model is found by its name alone, folder or file, and what is wrong with it said at once")
  func models() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let service = try service()
    func job(_ name: String, model: String) throws -> Job {
      service.drop("\(name).mp4", try Service.clip.get())
      service.drop("\(name).yaml", Service.sidecar() + "model: '\(model)'\n")
      return try service.finished(name)
    }
    #expect(try job("linked", model: "linked").state == .done)
    for (name, model, says) in [
      ("control", "control", "a ControlNet"), ("ending", "control.safetensors", "a ControlNet"),
      ("part", "part", "without its UNet"), ("old", "old", "can run any program"),
      ("missing", "secret", "neither the folder"), ("above", "../secret", "plain name"),
      ("absolute", folder.path(percentEncoded: false) + "/secret.safetensors", "plain name"),
      ("dots", "..", "plain name"), ("below", "linked/unet", "plain name"),
    ] {
      let job = try job(name, model: model)
      #expect(job.state == .failed && job.error?.contains(says) == true, "\(job.error ?? name)")
      #expect(job.attempts <= 1, "\(name)")
    }
    #expect(!service.log.contains("secret.x"))
  }
}
