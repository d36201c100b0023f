import EditSettings
import Foundation
import JobQueue
import Messaging

/// Where a worker that does not see the spool keeps the files of its job meanwhile.
struct RemoteJobFolders {
  let connection: WorkerConnection
  /// A folder of this worker's own.
  let scratch: String
  let models: ModelFolders
  /// Of inversions that are kept here for other jobs.
  let cacheBytes: Int

  /// Fetches the clip and, if there is one, the checkpoint.
  /// - Throws: `EditFailure` where this machine cannot do the job.
  func folder(for assignment: Assignment, _ files: Assignment.RemoteFiles) throws -> RemoteJobFolder
  {
    do {
      return try madeFolder(for: assignment, files)
    } catch let error as MissingModel {
      throw EditFailure(
        message: "on this worker's machine \(error)", mayPass: true, reason: .workerUnfit)
    } catch  where !(error is CancellationError || error is MessagingError) {
      throw EditFailure(
        message: "the scratch folder \(scratch) of this worker cannot be used: \(error)",
        mayPass: true, reason: .workerUnfit)
    }
  }

  private func madeFolder(for assignment: Assignment, _ files: Assignment.RemoteFiles) throws
    -> RemoteJobFolder
  {
    let root = scratch + "/job"
    // What a killed predecessor left.
    try? FileManager.default.removeItem(atPath: root)
    for folder in ["/result", "/checkpoint"] {
      try FileManager.default.createDirectory(
        atPath: root + folder, withIntermediateDirectories: true)
    }
    let folder = RemoteJobFolder(
      transfer: FileTransfer(connection, job: assignment.job), root: root,
      files: Assignment.SharedFiles(
        source: root + "/source", resultFolder: root + "/result",
        checkpointFolder: root + "/checkpoint", cacheFolder: scratch + "/cache",
        cacheBytes: cacheBytes,
        modelFolder: try models.path(named: assignment.model),
        loras: try models.loras(named: assignment.settings.loras.keys)))
    try folder.fetch(checkpoint: files.checkpoint)
    return folder
  }
}

/// The files of one job on this machine.
final class RemoteJobFolder {
  let files: Assignment.SharedFiles
  private let transfer: FileTransfer
  private let root: String
  /// Files of the checkpoint that the daemon has; none changes, but for the manifest.
  private var known: Set<String> = []

  private static let manifest = "manifest.json"

  init(transfer: FileTransfer, root: String, files: Assignment.SharedFiles) {
    (self.transfer, self.root, self.files) = (transfer, root, files)
  }

  func fetch(checkpoint: [ResultFile]) throws {
    try transfer.fetch("source", to: files.source)
    for file in checkpoint where !file.name.contains("/") && !file.name.hasPrefix(".") {
      try transfer.fetch(
        "checkpoint/" + file.name, to: files.checkpointFolder + "/" + file.name)
      known.insert(file.name)
    }
  }

  /// A checkpoint that cannot be put costs work when this worker dies, and nothing else: the edit
  /// goes on.
  func putCheckpoint(_ progress: EditProgress, _ reports: EditReports) {
    do {
      let names = try FileManager.default.contentsOfDirectory(atPath: files.checkpointFolder)
        .filter { !$0.hasPrefix(".") && $0 != Self.manifest }.sorted()
      for name in names where !known.contains(name) {
        try transfer.put(files.checkpointFolder + "/" + name, as: "checkpoint/" + name)
        known.insert(name)
      }
      try transfer.put(
        files.checkpointFolder + "/" + Self.manifest, as: "checkpoint/" + Self.manifest)
      known.formIntersection(names)
      reports.checkpointed(progress, names + [Self.manifest])
    } catch {
      reports.log(.warning, "a checkpoint could not be handed over: \(error)")
    }
  }

  func putResult() throws {
    for name in Spool.workersFiles
    where FileManager.default.fileExists(atPath: files.resultFolder + "/" + name) {
      try transfer.put(files.resultFolder + "/" + name, as: name)
    }
  }

  func remove() { try? FileManager.default.removeItem(atPath: root) }
}
