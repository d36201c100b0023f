import Foundation
import Tensor
import VideoEditing

/// Finished inversions, one immutable file each, in a folder that any number of processes share.
///
/// A file is named after what determines its content and after its content's checksum. So a file
/// that is there is whole, two processes that publish the same one put the same bytes in the same
/// place, and removing is one system call that disturbs nobody who reads. When a file was used last
/// is its modification time.
struct InversionCache {
  /// A file that was found whole.
  struct Entry {
    let path: String
    let content: DurableFile.Content
    let states: EditStates
  }

  let folder: String
  /// Bytes that all files may take.
  let limit: Int

  /// Makes the folder where it is missing.
  /// - Throws: `DurableFileError`.
  init(folder: String, limit: Int) throws {
    (self.folder, self.limit) = (folder + "/inversions", limit)
    try Folder.make(self.folder)
  }

  /// - Parameters:
  ///   - steps: how many steps of the trajectory make it complete.
  ///   - damaged: called where a file was damaged; it is removed.
  func find(_ key: String, steps: Int, damaged: () -> Void) -> Entry? {
    for file in files() where file.key == key {
      let path = "\(folder)/\(file.name)"
      do {
        var states = EditStates()
        try states.add(
          SafetensorsFile(
            checking: URL(fileURLWithPath: path), bytes: file.bytes, sha256: file.sha256))
        guard states.steps(of: .trajectory) == steps else {
          throw CheckpointProblem("it is not complete")
        }
        utimensat(AT_FDCWD, path, nil, AT_SYMLINK_NOFOLLOW)
        return Entry(
          path: path, content: .init(bytes: file.bytes, sha256: file.sha256), states: states)
      } catch {
        // Another process may have removed it just now.
        if unlink(path) == 0 { damaged() }
      }
    }
    return nil
  }

  /// Puts an inversion in, and removes what was not used for longest where it is too much. One that
  /// would not fit alone, or is there, is left out.
  /// - Throws: `DurableFileError`.
  func publish(_ states: EditStates, as key: String) throws {
    let tensors = states.tensors
    let bytes = tensors.values.reduce(0) { $0 + $1.count * MemoryLayout<Float>.stride }
    guard bytes <= limit, !files().contains(where: { $0.key == key }) else { return }
    _ = try SafetensorsFile.write(tensors, into: folder) { "\(key)-\($0.sha256)\(Self.suffix)" }
    try DurableFile.syncFolder(folder)
    evict()
  }

  /// Several processes may do this at once: the worst that comes of it is a file too few.
  private func evict() {
    let all = files().sorted { ($0.used, $0.name) > ($1.used, $1.name) }
    var room = limit
    for file in all {
      // Whatever is older than the first that does not fit goes as well.
      room = file.bytes <= room ? room - file.bytes : -1
      if room < 0 { unlink("\(folder)/\(file.name)") }
    }
    // What a process that was killed left half written.
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where DurableFile.isAside(name) {
      var status = stat()
      if lstat("\(folder)/\(name)", &status) == 0, time(nil) - status.st_mtim.tv_sec > 86_400 {
        unlink("\(folder)/\(name)")
      }
    }
  }

  private struct File {
    let name, key, sha256: String
    let bytes: Int
    /// Nanoseconds.
    let used: Int
  }

  private static let suffix = ".safetensors"

  private func files() -> [File] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.compactMap { name in
      guard name.hasSuffix(Self.suffix) else { return nil }
      let parts = name.dropLast(Self.suffix.count).split(separator: "-")
      var status = stat()
      guard parts.count == 2, parts[0].utf8.count == 32, parts[1].utf8.count == 64,
        lstat("\(folder)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG
      else { return nil }
      return File(
        name: name, key: String(parts[0]), sha256: String(parts[1]), bytes: Int(status.st_size),
        used: status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec)
    }
  }
}
