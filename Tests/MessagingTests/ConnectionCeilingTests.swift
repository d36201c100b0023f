import Foundation
import Glibc
import Messaging
import Testing

/// Each test floods a process of its own, which may open 128 files.
@Suite struct ConnectionCeilingTests {
  let folder: TemporaryFolder
  let keys: KeyFolder
  let own: CurveKeyPair

  init() throws {
    folder = try TemporaryFolder()
    keys = KeyFolder(path: folder.path("keys"))
    own = try CurveKeyPair()
    try keys.allow(PeerKey(role: .client, name: "good", publicKey: own.publicKey))
  }

  /// A router in a process that may die.
  final class EchoRouter {
    let process = Process()
    /// Of its tcp socket.
    let remoteEndpoint: String
    private let input = Pipe()

    init(ceiling: Int, keys: KeyFolder, endpoint: String) throws {
      let output = Pipe()
      process.executableURL = Program.url("echo-router")
      process.arguments = ["128", "\(ceiling)", keys.path, endpoint]
      process.standardInput = input
      process.standardOutput = output
      try process.run()
      var line: [UInt8] = []
      while let byte = try output.fileHandleForReading.read(upToCount: 1)?.first,
        byte != UInt8(ascii: "\n")
      { line.append(byte) }
      remoteEndpoint = String(decoding: line, as: UTF8.self)
    }

    deinit { if process.isRunning { process.terminate() } }

    func end() {
      try? input.fileHandleForWriting.close()
      process.waitUntilExit()
    }
  }

  /// The answer to `text`: that, and how many connections were refused so far.
  func refused(asking socket: MessageSocket, _ text: String) throws -> Int {
    #expect(try socket.send([Data(text.utf8)]))
    let answer = try socket.next()
    #expect(answer.first == Data(text.utf8))
    let count = String(decoding: answer.last ?? Data(), as: UTF8.self)
    return try #require(Int(count))
  }

  /// 2,000 connections, of which many more are open at a time than the process may have.
  func flood(_ connect: () -> Int32) {
    var open: [Int32] = []
    for _ in 0..<2000 {
      let descriptor = connect()
      if descriptor >= 0 { open.append(descriptor) }
      if open.count > 300 { close(open.removeFirst()) }
    }
    for descriptor in open { close(descriptor) }
  }

  func unixConnection() -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: folder.path("a.sock").utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if result != 0 { close(descriptor) }
    return result == 0 ? descriptor : -1
  }

  func tcpConnection(_ endpoint: String) -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(endpoint.split(separator: ":").last ?? "")?.bigEndian ?? 0
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result != 0 { close(descriptor) }
    return result == 0 ? descriptor : -1
  }

  // With the ceiling 0, which is none, the process ended here by SIGABRT: "Too many open files
  // (src/ipc_listener.cpp:325)", libzmq 4.3.4.
  @Test("a flood of connections kills nobody: who was connected is served, and who comes later")
  func flood() throws {
    let router = try EchoRouter(ceiling: 64, keys: keys, endpoint: folder.endpoint())
    let context = try MessagingContext()
    func local() throws -> MessageSocket {
      let socket = try MessageSocket(.dealer, context: context)
      try socket.connect(folder.endpoint())
      return socket
    }
    func remote() throws -> MessageSocket {
      let socket = try MessageSocket(
        .dealer, context: context,
        security: .curveClient(
          serverKey: try KeyFile.publicKey(at: keys.path + "/stemd.public"), own: own))
      try socket.connect(router.remoteEndpoint)
      return socket
    }
    let (before, remoteBefore) = (try local(), try remote())
    #expect(try refused(asking: before, "before") == 0)
    #expect(try refused(asking: remoteBefore, "before") == 0)
    // A machine that does much else may take one flood in its stride.
    func refusals(beyond known: Int, floodedBy connect: () -> Int32) throws -> Int {
      var count = known
      for _ in 0..<20 where count <= known {
        flood(connect)
        count = try refused(asking: before, "after a flood")
      }
      return count
    }
    let afterUnix = try refusals(beyond: 0, floodedBy: unixConnection)
    #expect(afterUnix > 0)
    #expect(
      try refusals(beyond: afterUnix) { tcpConnection(router.remoteEndpoint) } > afterUnix)
    #expect(try refused(asking: remoteBefore, "after the second flood") > afterUnix)
    _ = try refused(asking: try local(), "new")
    _ = try refused(asking: try remote(), "new")
    #expect(router.process.isRunning)
    router.end()
    #expect(router.process.terminationReason == .exit)
    #expect(router.process.terminationStatus == 0)
  }

  @Test("even a process whose own files used up the reserve outlives a flood")
  func noReserve() throws {
    // All 128 descriptors may be connections, so that accept fails with EMFILE.
    let router = try EchoRouter(ceiling: 128, keys: keys, endpoint: folder.endpoint())
    let good = try MessageSocket(.dealer, context: MessagingContext())
    try good.connect(folder.endpoint())
    #expect(try refused(asking: good, "before") == 0)
    flood(unixConnection)
    _ = try refused(asking: good, "after")
    router.end()
    #expect(router.process.terminationReason == .exit)
  }

  @Test(
    "libzmq's accept is ours in every program that serves", arguments: ["stemd", "echo-router"])
  func interposition(program: String) throws {
    let nm = Process()
    let output = Pipe()
    nm.executableURL = URL(filePath: "/usr/bin/env")
    nm.arguments = ["nm", "--dynamic", "--defined-only", Program.url(program).path]
    nm.standardOutput = output
    try nm.run()
    let symbols = String(
      decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    nm.waitUntilExit()
    #expect(symbols.contains(" T accept\n"))
    #expect(symbols.contains(" T accept4\n"))
  }

  @Test("the reserve is an eighth, at least 64, but never more than half")
  func reserve() {
    #expect(
      [64, 128, 256, 1024, 65_536].map(ConnectionCeiling.reserve(of:)) == [32, 64, 64, 128, 8192])
  }

  @Test("the limit of open files is raised as far as asked and never lowered")
  func descriptorLimit() throws {
    let now = try ConnectionCeiling.raiseDescriptorLimit(to: 0)
    #expect(now > 0)
    #expect(try ConnectionCeiling.raiseDescriptorLimit(to: now) == now)
    #expect(try ConnectionCeiling.raiseDescriptorLimit() >= now)
  }
}
