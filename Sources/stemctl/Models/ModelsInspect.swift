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

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var terminal: TerminalOptions

  func run() throws {
    let url = try modelURL(of: model)
    if let predictionType { try say(predictionType, of: url) }
    var found = ModelInspection(at: url)
    if found.asksForPrediction, !json, isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1,
      let answer = ask(found)
    {
      try say(answer, of: url)
      found = ModelInspection(at: url)
    }
    if json {
      print(try jsonText(found.summary))
    } else {
      let terminal = terminal.terminal(STDOUT_FILENO)
      terminal.print(found.facts.lines(in: terminal.columns))
    }
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
    // Beside nothing else.
    _ = try SingleFileCheckpoint(url)
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
  var facts: Facts {
    var facts = Facts()
    facts.add("model", path)
    facts.add("layout", layout)
    facts.add("family", familyText)
    facts.add(
      "predicts",
      prediction.map { $0 == .epsilon ? "epsilon (the noise)" : "v_prediction (velocities)" })
    facts.add("made for", nativeSize.map { "\($0)x\($0) pixels" })
    for part in parts {
      let size = byteText(part.storage.values.reduce(0, +))
      facts.add(
        part.name,
        part.problem == nil
          ? "\(size), \(part.storage.types.joined(separator: " and "))" : "cannot be used")
    }
    if let full = preparedBytes(.full) {
      let mixed =
        preparedBytes(.mixed).map { "\(byteText($0)) in mixed" }
        ?? "mixed needs a processor with avx512_bf16"
      facts.add(
        "weights", "\(byteText(full)) of memory in full precision, \(mixed); once for all workers")
    }
    if let editBytes, let nativeSize {
      facts.add(
        "an edit",
        "of \(Self.editFrames) frames of \(nativeSize)x\(nativeSize) takes about \(byteText(editBytes)) besides"
      )
    }
    for problem in allProblems { facts.add("NOT OK", StyledText(problem, .bad)) }
    return facts
  }

  /// The same for programs; sizes in bytes.
  struct Summary: Encodable {
    struct Part: Encodable {
      var name: String
      var bytes: Int
      var precision: [String]
      var error: String?
    }

    var path: String
    var layout: String?
    var family: String?
    var prediction: String?
    var size: Int?
    var parts: [Part]
    /// Of the weights in each precision.
    var memory: [String: Int]
    var editMemory: Int?
    var errors: [String]

    enum CodingKeys: String, CodingKey {
      case path, layout, family, prediction, size, parts, memory, errors
      case editMemory = "edit_memory"
    }
  }

  var summary: Summary {
    Summary(
      path: path, layout: layout, family: familyText, prediction: prediction?.rawValue,
      size: nativeSize,
      parts: parts.map {
        Summary.Part(
          name: $0.name, bytes: $0.storage.values.reduce(0, +), precision: $0.storage.types,
          error: $0.problem)
      },
      memory: Dictionary(
        uniqueKeysWithValues: Precision.allCases.compactMap { precision in
          preparedBytes(precision).map { (precision.rawValue, $0) }
        }),
      editMemory: editBytes, errors: allProblems)
  }
}
