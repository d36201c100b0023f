import ArgumentParser
import Foundation
import JobQueue
import Messaging

struct Fetch: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Copy a job's result into a folder, from wherever the daemon is.",
    discussion: "Each file appears whole or not at all; one that is there already is replaced.")

  @Argument(help: "The job's id.")
  var job: JobID

  @Option(name: .shortAndLong, help: "The folder; made if it is missing.", completion: .directory)
  var output: String

  @Option(help: "Only this file; may be given several times. (default: all of them)")
  var file: [String] = []

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws {
    let client = try daemon.client()
    guard case .files(_, let files) = try client.accepted(.files(job: job)) else {
      throw CommandFailure.unexpectedAnswer
    }
    let wanted = file.isEmpty ? files.map(\.name) : file
    if let missing = wanted.first(where: { name in !files.contains { $0.name == name } }) {
      throw CommandFailure(
        "The result of job \(job) has no file '\(missing)': it has \(files.map(\.name).joined(separator: ", "))."
      )
    }
    let folder = URL(filePath: output, directoryHint: .isDirectory)
    try makeFolder(output)
    for name in wanted {
      // A daemon elsewhere is a stranger, too.
      guard !name.contains("/"), !name.hasPrefix(".") else {
        throw CommandFailure(
          "The daemon names a file '\(name)', which is no plain name: fetch the others with --file."
        )
      }
      try fetch(name, into: folder, from: client)
      print(folder.appending(path: name).path(percentEncoded: false))
    }
  }

  private func fetch(_ name: String, into folder: URL, from client: ControlClient) throws {
    let aside = folder.appending(path: ".\(name).part")
    guard FileManager.default.createFile(atPath: aside.path(percentEncoded: false), contents: nil)
    else {
      throw CommandFailure.system("\(aside.path(percentEncoded: false)) cannot be written")
    }
    do {
      let handle = try FileHandle(forWritingTo: aside)
      defer { try? handle.close() }
      var offset = 0
      while true {
        let (reply, body) = try client.answer(
          to: .fetch(job: job, file: name, offset: offset, length: 256 << 10))
        if case .error(let refusal) = reply { throw client.failure(refusal, of: .files(job: job)) }
        guard case .data(_, name, offset, let size) = reply else {
          throw CommandFailure.unexpectedAnswer
        }
        try handle.write(contentsOf: body ?? Data())
        offset += body?.count ?? 0
        if offset >= size || body?.isEmpty ?? true { break }
      }
      try handle.synchronize()
    } catch let error as CocoaError {
      let code = (error.underlying as? POSIXError)?.code.rawValue ?? EIO
      throw CommandFailure.system("\(aside.path(percentEncoded: false)) cannot be written", code)
    }
    guard
      rename(
        aside.path(percentEncoded: false),
        folder.appending(path: name).path(percentEncoded: false)) == 0
    else {
      throw CommandFailure.system("\(name) cannot be written")
    }
  }
}
