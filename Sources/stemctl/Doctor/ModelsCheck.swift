import EditSettings
import Foundation
import JobQueue
import StableDiffusion

/// The models that there are, and whether each can be used.
struct ModelsCheck: Check {
  let patient: Patient
  let topic = "models"
  let patience = 60.0
  /// Of one model.
  private static let patienceOfOne = 20.0

  func findings() -> [Finding] {
    let models = patient.models
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: models.path, isDirectory: &isFolder),
      isFolder.boolValue
    else {
      return [
        .problem(
          "the models' folder \(models.path) does not exist",
          fix: "make it, or name another one with 'models: DIR' in \(patient.sources.path)")
      ]
    }
    guard access(models.path, R_OK | X_OK) == 0 else {
      return [
        .problem(
          "the models' folder \(models.path) cannot be read by this user",
          fix: "chmod a+rx \(models.path), or run 'stemctl doctor' as the daemon's user")
      ]
    }
    let names = models.names
    var findings = names.map { finding(of: $0, in: models) }
    if !names.contains(models.defaultName) {
      findings.insert(missingDefault(models, names), at: 0)
    }
    return findings
  }

  private func missingDefault(_ models: ModelFolders, _ names: [String]) -> Finding {
    .problem(
      "the default model '\(models.defaultName)' is not in \(models.path): jobs that name no model fail",
      fix: names.isEmpty
        ? "put a Stable Diffusion 1.x or 2.x model there, a folder of diffusers or a single .safetensors file"
        : "put it there, or set 'default_model: \(names[0])' in \(patient.sources.path)")
  }

  private func finding(of name: String, in models: ModelFolders) -> Finding {
    guard let path = try? models.path(named: name) else {
      return .warning(
        "'\(name)' in \(models.path) is no model", fix: "take it out of the models' folder")
    }
    guard
      let model = bounded(
        seconds: Self.patienceOfOne, { ModelInspection(at: URL(fileURLWithPath: path)) })
    else {
      return .warning(
        "'\(name)' was not read within \(durationText(seconds: Self.patienceOfOne))",
        fix: "look whether its disk is slow or hangs: time stemctl models inspect \(name)")
    }
    guard let problem = model.allProblems.first else {
      return .ok(
        "'\(name)' can be used: \(model.familyText ?? "a model"), \(byteText(model.storage.values.reduce(0, +))) of \(model.storage.types.joined(separator: " and "))"
      )
    }
    let more = model.allProblems.count - 1
    let text =
      "'\(name)' cannot be used: \(problem)\(more > 0 ? " (and \(more) more)" : "")"
    let fix = "what each lacks: stemctl models inspect \(path)"
    return name == models.defaultName
      ? .problem(text, fix: "\(fix); or set another 'default_model' in \(patient.sources.path)")
      : .warning(text, fix: fix)
  }
}
