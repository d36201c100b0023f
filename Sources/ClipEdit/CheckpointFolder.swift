import Foundation
import Tensor
import VideoEditing

/// A checkpoint on disk: parts that are written once and never changed, under names that no other
/// content has, and a manifest that is replaced by a rename. Its files may come from anywhere, so
/// they are read with suspicion.
struct CheckpointFolder {
  let path: String

  /// Makes the folder where it is missing.
  /// - Throws: `DurableFileError`.
  init(_ path: String) throws {
    self.path = path
    try Folder.make(path)
  }

  /// - Returns: `nil` where there is no checkpoint.
  /// - Throws: `CheckpointProblem`
  func manifest() throws -> CheckpointManifest? {
    let file = "\(path)/\(CheckpointManifest.fileName)"
    let descriptor = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw CheckpointProblem(
        "its \(CheckpointManifest.fileName) cannot be read (\(String(cString: strerror(errno))))")
    }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_size <= 16 << 20, let data = try? handle.read(upToCount: 16 << 20)
    else { throw CheckpointProblem("its \(CheckpointManifest.fileName) is not one") }
    return try CheckpointManifest(data)
  }

  /// Checks all parts; their states are read when they are taken.
  /// - Throws: `CheckpointProblem`
  func states(of manifest: CheckpointManifest) throws -> EditStates {
    do {
      var states = EditStates()
      for part in manifest.parts {
        try states.add(
          SafetensorsFile(
            checking: URL(fileURLWithPath: "\(path)/\(part.name)"), bytes: part.bytes,
            sha256: part.sha256))
      }
      return states
    } catch let error as WeightsError {
      throw CheckpointProblem(error.description)
    }
  }

  /// Writes states of one series as a part, which does not count yet.
  /// - Throws: `DurableFileError`
  func write(_ states: EditStates, of series: EditSeries) throws -> CheckpointManifest.Part {
    let steps = states.series[series.name]?.keys.sorted() ?? []
    let range = String(format: "%04d-%04d", steps.first ?? 0, steps.last ?? 0)
    let file = try SafetensorsFile.write(states.tensors, into: path) {
      "\(series.name)-\(range)-\($0.sha256.prefix(16)).safetensors"
    }
    return .init(
      name: file.name, bytes: file.content.bytes, sha256: file.content.sha256,
      series: [series.name])
  }

  /// Takes a file of the cache for a part, which does not count yet, without a copy.
  /// - Returns: `nil` where the file is gone or lies on another mount.
  func link(_ entry: InversionCache.Entry) -> CheckpointManifest.Part? {
    let name = "inversion-\(entry.content.sha256.prefix(16)).safetensors"
    unlink("\(path)/\(name)")
    guard Foundation.link(entry.path, "\(path)/\(name)") == 0 else { return nil }
    return .init(
      name: name, bytes: entry.content.bytes, sha256: entry.content.sha256,
      series: EditSeries.inversion.map(\.name))
  }

  /// From here on, this is the checkpoint; its parts are there already.
  /// - Throws: `DurableFileError`
  func commit(_ manifest: CheckpointManifest) throws {
    // The names of the parts before the name of what counts on them.
    try DurableFile.syncFolder(path)
    let data = try manifest.data
    _ = try DurableFile.write(into: path, named: { _ in CheckpointManifest.fileName }) { file in
      try data.withUnsafeBytes { try file.write($0) }
    }
    try DurableFile.syncFolder(path)
  }

  func remove(_ parts: some Sequence<String>) {
    for name in parts { unlink("\(path)/\(name)") }
  }

  /// Removes what writing left that was cut off, and parts that no manifest names.
  func removeLeftovers(but manifest: CheckpointManifest?) {
    let named = Set(manifest?.parts.map(\.name) ?? [])
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    remove(
      names.filter {
        DurableFile.isAside($0) || CheckpointManifest.Part.isName($0) && !named.contains($0)
      })
  }

  /// Removes the checkpoint, the manifest first.
  func clear() {
    unlink("\(path)/\(CheckpointManifest.fileName)")
    try? DurableFile.syncFolder(path)
    removeLeftovers(but: nil)
  }
}

enum Folder {
  /// Makes a folder and those above it that are missing. A link at its end is refused: whoever can
  /// put it there may not choose what is written to.
  /// - Throws: `DurableFileError`.
  static func make(_ path: String) throws {
    var status = stat()
    if lstat(path, &status) != 0 {
      let above = (path as NSString).deletingLastPathComponent
      // Of a plain name, the folder that the program runs in.
      let parent = above.isEmpty ? "." : above
      if parent != path, stat(parent, &status) != 0 { try make(parent) }
      guard mkdir(path, 0o770) == 0 || errno == EEXIST else {
        throw DurableFileError("made", path)
      }
      // What will be put in there is no safer than the folder's own name.
      try DurableFile.syncFolder(parent)
      guard lstat(path, &status) == 0 else { throw DurableFileError("looked at", path) }
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw DurableFileError("used as a folder", path, code: ENOTDIR)
    }
  }
}
