import Foundation
import JobQueue

/// ROOT/keys: the public keys of the peers that may come from other machines, and the daemon's own
/// pair. It belongs to one thread.
///
///     stemd.secret  stemd.public      the daemon's own pair
///     operators/NAME  clients/NAME  workers/NAME      a public key each
///
/// What changes in the folder counts from the next question on, a file that is rewritten in its
/// place within a second. Dot-files are ignored; any other file that is not used is reported once.
///
/// A key may be in several files, and is what the most powerful of them makes of it: where it is an
/// operator's and a client's, an operator's. Among several names of one role, the one that comes
/// first counts. A name may have a key in each role.
public final class KeyFolder {
  /// The folder's path.
  public let path: String

  /// Files are looked at again after this, even where no folder changed.
  private static let secondsBetweenReadings = 1.0

  private var folderStamps: [FileStamp?] = []
  private var foldersAreSettled = false
  private var lastReading: ContinuousClock.Instant?
  private var files: [PeerKey.File: Reading] = [:]
  private var keys: [PeerKey] = []
  private var allowed: Set<PeerKey> = []
  private var problems: Set<String> = []
  private var notices: [String] = []

  /// - Parameter path: The folder; it need not exist.
  public init(path: String) {
    self.path = path
  }

  public convenience init(_ folders: SpoolFolders) {
    self.init(
      path: folders.root.appending(path: "keys", directoryHint: .notDirectory).path(
        percentEncoded: false))
  }

  // MARK: Peers

  /// Whose key it is, where it is allowed in one of these roles.
  public func peer(
    ofPublicKey publicKey: String, among roles: [KeyRole] = KeyRole.allCases
  ) -> PeerKey? {
    refresh()
    return keys.first { $0.publicKey == publicKey && roles.contains($0.role) }
  }

  /// The name and role of a key that is allowed.
  public func role(ofPublicKey publicKey: String) -> (name: String, role: KeyRole)? {
    peer(ofPublicKey: publicKey).map { ($0.name, $0.role) }
  }

  /// Whether a peer that was let in once still is: the same key has the same name and role.
  public func isAllowed(_ key: PeerKey) -> Bool {
    refresh()
    return allowed.contains(key)
  }

  /// Whether any key has this name in this role.
  public func isAllowed(_ name: String, _ role: KeyRole) -> Bool {
    refresh()
    return keys.contains { $0.name == name && $0.role == role }
  }

  /// All keys that are allowed: operators, clients, workers; by name.
  public func allowedKeys() -> [PeerKey] {
    refresh()
    return keys
  }

  /// What is worth logging about the folder since the last call: files that are not used, and why.
  public func takeNotices() -> [String] {
    refresh()
    defer { notices = [] }
    return notices
  }

  // MARK: The daemon's own pair

  /// - Returns: `nil` where there is none.
  /// - Throws: `MessagingError` where there is one that must not or cannot be used.
  public func serverKeyPair() throws -> CurveKeyPair? {
    guard KeyFile.exists(secretPath) else { return nil }
    return try CurveKeyPair(secretKey: KeyFile.secretKey(at: secretPath))
  }

  var secretPath: String { path + "/stemd.secret" }
  var publicPath: String { path + "/stemd.public" }

  func folder(of role: KeyRole) -> String { "\(path)/\(role.folderName)" }

  // MARK: Reading

  /// A file's key, or why it has none, at a time.
  private struct Reading {
    let stamp: FileStamp
    let result: Result<String, MessagingError>
    /// Whether a change after the reading cannot have left the same stamp.
    let isSettled: Bool
  }

  private func refresh() {
    let stamps = KeyRole.allCases.map { FileStamp(folder(of: $0)) }
    if let lastReading, stamps == folderStamps, foldersAreSettled,
      .now - lastReading < .seconds(Self.secondsBetweenReadings)
    {
      return
    }
    foldersAreSettled = stamps.allSatisfy { $0?.isSettled ?? true }
    // From before the reading: what changes meanwhile is seen at the next one.
    folderStamps = stamps
    read(stamps)
    lastReading = .now
  }

  private func read(_ stamps: [FileStamp?]) {
    var found: [PeerKey] = []
    var problems: [String] = []
    var files: [PeerKey.File: Reading] = [:]
    for (role, stamp) in zip(KeyRole.allCases, stamps) {
      guard let stamp else { continue }
      do {
        for name in try names(in: role, stamp, &problems).sorted() {
          let file = PeerKey.File(role: role, name: name)
          guard let reading = reading(of: file) else { continue }
          files[file] = reading
          switch reading.result {
          case .success(let key):
            found.append(PeerKey(role: role, name: name, publicKey: key))
          case .failure(let error): problems.append(error.description)
          }
        }
      } catch {
        problems.append("\(error)")
      }
    }
    self.files = files
    keys = found
    allowed = Set(found)
    problems += duplicates(among: found)
    notices += problems.filter { !self.problems.contains($0) }
    // Nobody may ever ask.
    notices = notices.suffix(1000)
    self.problems = Set(problems)
  }

  private func reading(of file: PeerKey.File) -> Reading? {
    let path = "\(folder(of: file.role))/\(file.name)"
    // Removed meanwhile.
    guard let stamp = FileStamp(path) else { return nil }
    if let known = files[file], known.isSettled, known.stamp == stamp { return known }
    let isSettled = stamp.isSettled
    do {
      return Reading(
        stamp: stamp, result: .success(try KeyFile.publicKey(at: path)), isSettled: isSettled)
    } catch let error as MessagingError {
      return Reading(stamp: stamp, result: .failure(error), isSettled: isSettled)
    } catch {
      return nil
    }
  }

  private func names(in role: KeyRole, _ stamp: FileStamp, _ problems: inout [String]) throws
    -> [String]
  {
    let folder = folder(of: role)
    guard stamp.isFolder else {
      throw MessagingError(
        "\(displayName(folder)) is a link or no folder, so no \(role.rawValue)'s key is used: put a folder there."
      )
    }
    guard stamp.mode & 0o002 == 0 else {
      throw MessagingError(
        "No key in \(displayName(folder)) is used, because anybody may change the folder: chmod o-w it."
      )
    }
    let entries: [[UInt8]]
    do {
      entries = try FileSystem.names(in: folder)
    } catch let error as FileError {
      throw MessagingError(
        "No key in \(displayName(folder)) is used, because the folder cannot be read: \(String(cString: strerror(error.code)))."
      )
    }
    var names: [String] = []
    for bytes in entries where bytes.first != UInt8(ascii: ".") {
      if let name = String(validating: bytes, as: UTF8.self), PeerKey.isName(name) {
        names.append(name)
      } else {
        problems.append(
          "The key file \(displayName(folder))/\(displayName(bytes: bytes)) is not used: a key's name has 1 to 64 letters, digits, '.', '_' and '-'."
        )
      }
    }
    return names
  }

  private func duplicates(among keys: [PeerKey]) -> [String] {
    var first: [String: PeerKey] = [:]
    return keys.compactMap { key in
      guard let other = first[key.publicKey] else {
        first[key.publicKey] = key
        return nil
      }
      // One key may serve a person and a worker.
      if key.role == .worker && other.role != .worker { return nil }
      return
        "The key of \(key.keyName) is that of \(other.keyName), too: it counts as \(other.keyName)."
    }
  }
}

extension PeerKey {
  /// Where a key is found.
  fileprivate struct File: Hashable {
    let role: KeyRole
    let name: String
  }
}

/// What tells a file from what it was before; `ctime`, which nobody can set.
private struct FileStamp: Equatable {
  let device: UInt64
  let inode: UInt64
  let size: Int64
  let changedSeconds: Int
  let changedNanoseconds: Int
  let mode: mode_t

  /// `nil` where there is no such file; links are not followed.
  init?(_ path: String) {
    var raw = stat()
    guard lstat(path, &raw) == 0 else { return nil }
    device = UInt64(raw.st_dev)
    inode = UInt64(raw.st_ino)
    size = Int64(raw.st_size)
    changedSeconds = raw.st_ctim.tv_sec
    changedNanoseconds = raw.st_ctim.tv_nsec
    mode = raw.st_mode
  }

  var isFolder: Bool { mode & S_IFMT == S_IFDIR }

  /// Whether a change from now on leaves another stamp. A file system's clock stands still between
  /// ticks of a few milliseconds; where it tells whole seconds only, for so long.
  var isSettled: Bool {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let age =
      Double(now.tv_sec - changedSeconds) + Double(now.tv_nsec - changedNanoseconds) / 1e9
    let granularity = changedNanoseconds == 0 ? 2.0 : 0.03
    // By another machine's clock it may be from the future.
    return !(-granularity...granularity).contains(age)
  }
}
