import ArgumentParser
import Foundation
import JobQueue
import StableDiffusion

struct ModelsList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the models in the models' folder: name, family, size, precision, where.",
    discussion: "After them the names of the LoRAs in its folder 'loras'.")

  @Option(
    help: ArgumentHelp(
      "The models' folder. (default: the one that a stemd would take that was started here)",
      valueName: "dir"), completion: .directory)
  var models: String?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var terminal: TerminalOptions

  private struct Entry: Encodable {
    var name: String
    var path: String
    var family: String?
    var prediction: String?
    var bytes: Int
    var precision: [String]
    var error: String?
  }

  func run() throws {
    let folders = modelFolders(models)
    guard FileManager.default.fileExists(atPath: folders.path) else {
      throw CommandFailure(
        "There is no folder \(folders.path): name the models' folder with --models, or with 'models' in the daemon's configuration."
      )
    }
    let entries = try folders.names.map { name in
      let path = try folders.path(named: name)
      let model = ModelInspection(at: URL(fileURLWithPath: path), weighing: false)
      return Entry(
        name: name, path: path, family: model.familyText,
        prediction: model.prediction?.rawValue, bytes: model.storage.values.reduce(0, +),
        precision: model.storage.types, error: model.allProblems.first)
    }
    if json { return print(try jsonText(entries)) }
    let table = Table(
      columns: [
        .init("MODEL", least: 8), .init("FAMILY", least: 8, dispensable: 1),
        .init("PREDICTS", dispensable: 3), .init("SIZE", isNumber: true),
        .init("PRECISION", dispensable: 2), .init("WHERE", least: 24),
      ],
      rows: entries.map { entry in
        [
          StyledText(entry.name), StyledText(entry.family ?? "–"),
          StyledText(entry.prediction ?? "–"),
          StyledText(entry.bytes > 0 ? byteText(entry.bytes) : "–"),
          StyledText(entry.precision.isEmpty ? "–" : entry.precision.joined(separator: "+")),
          entry.error.map { StyledText("not usable: \($0)", .bad) } ?? StyledText(entry.path),
        ]
      })
    let terminal = terminal.terminal(STDOUT_FILENO)
    terminal.print(table.lines(in: terminal.columns))
    let loras = folders.loraNames
    if !loras.isEmpty {
      print(
        "for the key 'loras': "
          + loras.map { $0.escapingControlCharacters() }.joined(separator: ", "))
    }
  }
}

extension ModelInspection {
  var familyText: String? {
    family.map { $0 + (takesInstructions ? ", takes instructions" : "") }
  }
}

extension [String: Int] {
  /// The types that make up a model, the most first; a stray position does not count.
  var types: [String] {
    let floats = filter { $0.key.contains("F") }
    return floats.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
  }
}

/// With two or three digits that say something.
func byteText(_ bytes: Int) -> String {
  let bytes = Double(bytes)
  return bytes < 0x1p30
    ? String(format: "%.0f MiB", bytes / 0x1p20) : String(format: "%.1f GiB", bytes / 0x1p30)
}
