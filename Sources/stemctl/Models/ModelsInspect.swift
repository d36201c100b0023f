import ArgumentParser
import Foundation
import StableDiffusion
import Tensor

struct ModelsInspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Say what a model holds, what it lacks and how much memory it takes.",
    discussion:
      "Computes nothing, and reads only what says which tensors there are. Exits with 1 if the model cannot be used."
  )

  @Argument(
    help: "A model's folder or file, or the name of one in the models' folder.",
    completion: .file(extensions: ["safetensors"]))
  var model: String

  @Option(
    help: ArgumentHelp(
      "What a single file's UNet predicts: epsilon or v_prediction; is written into NAME.yaml beside it. Files of Stable Diffusion 2.x often do not say it.",
      valueName: "type"))
  var predictionType: DDIMScheduler.Prediction?

  func run() throws {
    let url = try modelURL(of: model)
    if let predictionType { try say(predictionType, of: url) }
    var found = ModelInspection(at: url)
    if found.asksForPrediction, isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1,
      let answer = ask(found)
    {
      try say(answer, of: url)
      found = ModelInspection(at: url)
    }
    print(found.text)
    guard found.isUsable else { throw ExitCode(1) }
  }

  private func say(_ prediction: DDIMScheduler.Prediction, of url: URL) throws {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(
      atPath: url.path(percentEncoded: false), isDirectory: &isFolder),
      isFolder.boolValue
    {
      throw CommandFailure(
        "\(model) is a folder, whose scheduler/scheduler_config.json says what it predicts: --prediction-type is for single files."
      )
    }
    try SingleFileCheckpoint.write(prediction, beside: url)
  }

  private func ask(_ found: ModelInspection) -> DDIMScheduler.Prediction? {
    print(
      "\(found.path) does not say what it predicts. Enter v_prediction where it was made for 768 pixels, as 2.0 and 2.1 were, epsilon where for 512, as 2.0-base and 2.1-base, or nothing:"
    )
    return readLine().flatMap(DDIMScheduler.Prediction.init(rawValue:))
  }
}

extension DDIMScheduler.Prediction: ExpressibleByArgument {}

/// A path where there is such a file, else a name in the models' folder.
func modelURL(of model: String) throws -> URL {
  FileManager.default.fileExists(atPath: model)
    ? URL(fileURLWithPath: model) : try modelURL(named: model)
}

extension ModelInspection {
  var text: String {
    var rows = [("model", path)]
    func add(_ name: String, _ text: String?) { if let text { rows.append((name, text)) } }
    add("layout", layout)
    add("family", familyText)
    add(
      "predicts",
      prediction.map { $0 == .epsilon ? "epsilon (the noise)" : "v_prediction (velocities)" })
    add("made for", nativeSize.map { "\($0)x\($0) pixels" })
    for part in parts {
      let size = byteText(part.storage.values.reduce(0, +))
      add(
        part.name,
        part.problem == nil
          ? "\(size), \(part.storage.types.joined(separator: " and "))" : "cannot be used")
    }
    if let full = preparedBytes(.full) {
      let mixed =
        preparedBytes(.mixed).map { "\(byteText($0)) in mixed" }
        ?? "mixed needs a processor with avx512_bf16"
      add(
        "weights", "\(byteText(full)) of memory in full precision, \(mixed); once for all workers")
    }
    if let editBytes, let nativeSize {
      add(
        "an edit",
        "of \(Self.editFrames) frames of \(nativeSize)x\(nativeSize) takes about \(byteText(editBytes)) besides"
      )
    }
    for problem in allProblems { add("NOT OK", problem) }
    return table(rows)
  }
}
