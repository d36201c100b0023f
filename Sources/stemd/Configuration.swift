import EditSettings
import Foundation
import JobQueue
import Yams

/// What an operator may set in a file; the command line's options go before it.
struct Configuration: Equatable {
  static let defaultPath = "/etc/stemd/stemd.yaml"

  var workers = 1
  var threads: Int?
  var models: String?
  var defaultModel = ModelFolders.ownModel
  /// Of jobs that ask for none.
  var precision = PrecisionSetting.auto
  /// tcp endpoints for clients and for workers on other machines.
  var listen: String?
  var listenWorkers: String?
  /// Folders below which a client may name a clip by its path.
  var submitFolders: [String] = []
  /// Seconds between two checkpoints of a job.
  var checkpointInterval = 5.0
  /// Bytes of inversions that are kept for other jobs.
  var cacheBytes = 10 << 30
  /// Seconds between two looks into the inbox; `nil` for what its file system needs.
  var inboxPoll: Double?
  var limits = Limits()

  struct Limits: Equatable {
    var spool = SpoolLimits()
    /// Of a frame on a socket.
    var messageBytes = 1 << 20
    var uploads = 64
    /// `nil`: what the descriptors allow.
    var connections: Int?
    var frames: Int?
    var framePixels: Int?
    var workerMemory: Int?
    /// Seconds.
    var runTime: Double?
  }

  init() {}

  var polling: Inbox.Polling { inboxPoll.map { .every(.seconds($0)) } ?? .automatic }

  /// - Throws: `ConfigurationError` that says which line is wrong, and what it takes.
  init(file path: String) throws {
    guard let file = FileHandle(forReadingAtPath: path) else {
      throw ConfigurationError(
        "the configuration \(displayName(path)) cannot be read: \(String(cString: strerror(errno)))"
      )
    }
    guard let text = String(data: try file.readToEnd() ?? Data(), encoding: .utf8) else {
      throw ConfigurationError("the configuration \(displayName(path)) is not UTF-8 text")
    }
    try self.init(yaml: text, name: path)
  }

  init(yaml: String, name: String) throws {
    let root: Node?
    do {
      root = try Yams.compose(yaml: yaml)
    } catch {
      throw ConfigurationError(Self.sentence(of: error, in: name))
    }
    guard let root, root != Node("", Tag(.null)) else { return }
    try Entries(root, name, within: nil).each { key, entry in
      switch key {
      case "workers": workers = try entry.whole(in: 0...256)
      case "threads": threads = try entry.whole(in: 1...1024)
      case "models": models = try entry.folder()
      case "default_model": defaultModel = try entry.text()
      case "precision": precision = try entry.choice()
      case "listen": listen = try entry.endpoint()
      case "listen_workers": listenWorkers = try entry.endpoint()
      case "submit_folders": submitFolders = try entry.folders()
      case "checkpoint_interval": checkpointInterval = try entry.seconds(atLeast: 0)
      case "cache_bytes": cacheBytes = try entry.bytes()
      case "inbox_poll": inboxPoll = try entry.seconds(atLeast: 0.1)
      case "limits": try limits.read(entry)
      default: return false
      }
      return true
    }
  }
}

extension Configuration {
  fileprivate static func sentence(of error: any Error, in name: String) -> String {
    switch error as? YamlError {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      "\(displayName(name)), line \(mark.line) or the one before it, is not YAML: \(displayLine(problem)); write lines such as 'workers: 2'"
    case .duplicatedKeysInMapping(let duplicates, let context):
      "\(displayName(name)), line \(context.mark.line): the key '\(displayName(duplicates.first ?? ""))' stands there twice: keep one of them"
    default: "\(displayName(name)) is not YAML"
    }
  }
}

extension Configuration.Limits {
  fileprivate mutating func read(_ entry: Entry) throws {
    try Entries(entry.node, entry.file, within: "limits").each { key, entry in
      switch key {
      case "queue_length": spool.queueLength = try entry.whole(in: 1...10_000_000)
      case "job_bytes": spool.jobBytes = Int64(try entry.bytes())
      case "spool_reserve": spool.spoolReserve = Int64(try entry.bytes())
      case "message_bytes":
        messageBytes = try entry.bytes()
        // The parts in which files go over the sockets take less.
        guard (1 << 20...64 << 20).contains(messageBytes) else {
          throw entry.refused("a size from 1 MiB to 64 MiB")
        }
      case "uploads": uploads = try entry.whole(in: 1...10_000)
      case "connections": connections = try entry.whole(in: 1...1_000_000)
      case "frames": frames = try entry.whole(in: 1...1_000_000)
      case "frame_pixels": framePixels = try entry.whole(in: 1...1 << 40)
      case "worker_memory": workerMemory = try entry.bytes()
      case "run_time": runTime = try entry.seconds(atLeast: 1)
      default: return false
      }
      return true
    }
  }
}

struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// The keys of a mapping, each of which must be known and stand there once.
private struct Entries {
  let entries: [(key: String, entry: Entry)]
  let place: String?
  let file: String

  init(_ node: Node, _ file: String, within place: String?) throws {
    (self.file, self.place) = (file, place)
    guard case .mapping(let mapping) = node else {
      throw ConfigurationError(
        "\(Entry.place(file, node)): \(place.map { "'\($0)' takes" } ?? "the file must hold") keys with values"
      )
    }
    entries = mapping.map { key, value in
      let name = key.string ?? ""
      return (name, Entry(name: place.map { "\($0).\(name)" } ?? name, node: value, file: file))
    }
  }

  /// - Parameter take: Says whether it knows the key.
  func each(_ take: (String, Entry) throws -> Bool) throws {
    for (key, entry) in entries {
      // A key without a value means its default.
      if entry.node.null != nil { continue }
      guard try take(key, entry) else {
        throw ConfigurationError(
          "\(Entry.place(file, entry.node)): there is no key '\(displayName(entry.name))'")
      }
    }
  }
}

private struct Entry {
  let name: String
  let node: Node
  let file: String

  static func place(_ file: String, _ node: Node) -> String {
    displayName(file) + (node.mark.map { ", line \($0.line)" } ?? "")
  }

  func refused(_ takes: String) -> ConfigurationError {
    let given = node.string.map { "'\(displayName(String($0.prefix(60))))'" } ?? "a list or mapping"
    return ConfigurationError(
      "\(Self.place(file, node)): '\(name)' takes \(takes), not \(given)")
  }

  func text() throws -> String {
    guard let text = node.string, !text.isEmpty else { throw refused("a text") }
    return text
  }

  func choice<Choice: RawRepresentable<String> & CaseIterable>() throws -> Choice {
    guard let choice = node.string.flatMap(Choice.init(rawValue:)) else {
      throw refused("one of " + Choice.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return choice
  }

  func whole(in range: ClosedRange<Int>) throws -> Int {
    guard let number = node.int, range.contains(number) else {
      throw refused("a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  func seconds(atLeast least: Double) throws -> Double {
    guard let number = node.float, number >= least, number <= 1e9 else {
      throw refused("a number of seconds from \(least) up")
    }
    return number
  }

  func bytes() throws -> Int {
    guard let bytes = node.string.flatMap(byteCount) else {
      throw refused("a size such as 1000000, 64 MiB or 8 GiB")
    }
    return bytes
  }

  func folder() throws -> String {
    guard let path = node.string, path.hasPrefix("/") else {
      throw refused("the absolute path of a folder")
    }
    return path
  }

  func folders() throws -> [String] {
    guard case .sequence(let items) = node else { throw refused("a list of folders") }
    return try items.map { try Entry(name: name, node: $0, file: file).folder() }
  }

  func endpoint() throws -> String {
    guard let endpoint = node.string, endpoint.hasPrefix("tcp://") else {
      throw refused("an endpoint such as tcp://0.0.0.0:7070")
    }
    return endpoint
  }
}

/// `64 MiB`, `8GiB`, `1000`.
func byteCount(_ text: String) -> Int? {
  let units: [(String, Int)] = [
    ("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
  ]
  let digits = text.prefix { $0.isASCII && $0.isNumber }
  let unit = text.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)
  guard let number = Int(digits), let factor = units.first(where: { $0.0 == unit })?.1 else {
    return nil
  }
  let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
  return overflow ? nil : bytes
}
