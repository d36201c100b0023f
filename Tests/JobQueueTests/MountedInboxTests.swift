import Foundation
import Glibc
import Testing

@testable import JobQueue

/// A file system mounted for a test over `mount`, with `beneath` under it.
struct MountedFolder {
  enum Kind: String, CaseIterable { case overlay, bindfs }

  let mount = TemporaryFolder()
  let beneath = TemporaryFolder()
  private let layers = TemporaryFolder()
  /// Serves the file system, where no kernel does.
  private var server: Process?

  /// `nil` where the system does not mount it.
  init?(_ kind: Kind) {
    switch kind {
    case .overlay:
      for name in ["upper", "work"] { mkdir(layers.path(name), 0o770) }
      let folders = "lowerdir=\(beneath.path),upperdir=\(layers.path("upper"))"
      guard
        let mounting = Self.start(
          "mount", "-t", "overlay", "overlay", "-o", "\(folders),workdir=\(layers.path("work"))",
          mount.path)
      else { return nil }
      mounting.waitUntilExit()
      guard mounting.terminationStatus == 0 else { return nil }
    case .bindfs:
      // In the foreground: a daemon would inherit what tells of its parent's end. Nothing is
      // remembered, as the tests do not wait.
      server = Self.start(
        "bindfs", "-f", "-o", "attr_timeout=0,entry_timeout=0,negative_timeout=0", beneath.path,
        mount.path)
      guard let server else { return nil }
      while !isMounted {
        guard server.isRunning else { return nil }
        usleep(10_000)
      }
    }
  }

  func unmount() {
    Self.start("umount", "-l", mount.path)?.waitUntilExit()
    server?.terminate()
  }

  static func canMount(_ kind: Kind) -> Bool {
    guard getuid() == 0, let mounted = MountedFolder(kind) else { return false }
    mounted.unmount()
    return true
  }

  private var isMounted: Bool {
    var (inside, outside) = (stat(), stat())
    return stat(mount.path, &inside) == 0 && stat(beneath.path, &outside) == 0
      && inside.st_dev != outside.st_dev
  }

  private static func start(_ arguments: String...) -> Process? {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    return (try? process.run()) == nil ? nil : process
  }
}

@Suite("Inbox on a mount that changes from beneath") struct MountedInboxTests {
  static let kinds = MountedFolder.Kind.allCases.filter(MountedFolder.canMount)
  static let canMount = ConditionTrait.enabled(
    if: !kinds.isEmpty, "needs root, and overlay or bindfs with /dev/fuse to mount")

  let start = ContinuousClock.now
  let pair = [ReadyClip(clip: "c.mp4", sidecars: ["c.txt"])]

  @Test(
    "what comes from beneath is found by looking, and taken when it rested a minute", canMount,
    arguments: kinds)
  func beneath(kind: MountedFolder.Kind) throws {
    let mounted = try #require(MountedFolder(kind))
    defer { mounted.unmount() }
    let inbox = try Inbox(folder: mounted.mount.url, polling: .automatic, on: nil, clock: { start })
    func ready(_ seconds: Int) throws -> [ReadyClip] {
      try inbox.refresh(now: start + .seconds(seconds)).ready
    }
    #expect(inbox.descriptor != nil)
    #expect(try ready(0).isEmpty)
    mounted.beneath.drop("c.txt")
    let file = mounted.beneath.startWriting("c.mp4")
    for seconds in [2, 4, 6, 30] { #expect(try ready(seconds).isEmpty) }
    // An overlay does not say that a file of a layer in use grew.
    if kind == .bindfs {
      fputs("more", file)
      fflush(file)
      for seconds in [32, 34, 62, 91] { #expect(try ready(seconds).isEmpty) }
    }
    fclose(file)
    #expect(try ready(92) == pair)
  }

  @Test(
    "what comes through the mount is taken in the moment it is closed", canMount, arguments: kinds)
  func through(kind: MountedFolder.Kind) throws {
    let mounted = try #require(MountedFolder(kind))
    defer { mounted.unmount() }
    let inbox = try Inbox(folder: mounted.mount.url, polling: .automatic, on: nil, clock: { start })
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    mounted.mount.drop("c.txt")
    let file = mounted.mount.startWriting("c.mp4")
    for seconds in [1, 2, 3, 4, 70, 140] {
      #expect(try inbox.refresh(now: start + .seconds(seconds)).ready.isEmpty)
    }
    fclose(file)
    #expect(try inbox.refresh(now: start + .seconds(141)).ready == pair)
  }

  @Test("what is removed from beneath is forgotten", canMount, arguments: kinds)
  func removal(kind: MountedFolder.Kind) throws {
    let mounted = try #require(MountedFolder(kind))
    defer { mounted.unmount() }
    for name in ["c.mp4", "c.mov", "c.txt"] { mounted.mount.drop(name) }
    let inbox = try Inbox(folder: mounted.mount.url, polling: .automatic, on: nil, clock: { start })
    for seconds in [0, 2, 60] {
      #expect(try inbox.refresh(now: start + .seconds(seconds)).ready.isEmpty)
    }
    // For an overlay, as another machine would see it.
    (kind == .overlay ? mounted.mount : mounted.beneath).remove("c.mov")
    #expect(try inbox.refresh(now: start + .seconds(62)).ready == pair)
  }
}
