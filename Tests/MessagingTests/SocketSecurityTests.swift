import Foundation
import Testing

@testable import Messaging

@Suite struct SocketSecurityTests {
  let folder: TemporaryFolder
  let keys: KeyFolder
  let alice: CurveKeyPair

  init() throws {
    folder = try TemporaryFolder()
    keys = KeyFolder(path: folder.path("keys"))
    alice = try CurveKeyPair()
    try keys.allow(PeerKey(role: .client, name: "alice", publicKey: alice.publicKey))
  }

  /// Has alice say something, and expects it to be all that arrives.
  func expectOnlyAlice(_ daemon: GuardedRouter) throws {
    let good = try daemon.peer(with: alice, saying: "alice")
    #expect(try daemon.next()?.frames == [Data("alice".utf8)])
    #expect(try daemon.next(within: 0.1) == nil)
    #expect(try good.receive() == nil)
  }

  @Test("a peer with an allowed key gets through, and role and name of the key with it")
  func allowedKey() throws {
    let daemon = try GuardedRouter(keys)
    let peer = try daemon.peer(with: alice, saying: "hello")
    let message = try #require(try daemon.next())
    #expect(message.frames == [Data("hello".utf8)])
    #expect(message.keyName == "client/alice")
    #expect(
      message.key == PeerKey(role: .client, name: "alice", publicKey: alice.publicKey))
    #expect(message.localUser == nil)
    #expect(try daemon.router.send([message.peer, Data("answer".utf8)]))
    #expect(try peer.next() == [Data("answer".utf8)])
    #expect(daemon.refusals.isEmpty)
  }

  @Test("an operator's key is let in where clients are, and a worker's where workers are")
  func roles() throws {
    let (root, worker) = (try CurveKeyPair(), try CurveKeyPair())
    try keys.allow(PeerKey(role: .operator, name: "root", publicKey: root.publicKey))
    try keys.allow(PeerKey(role: .worker, name: "gpu-1", publicKey: worker.publicKey))
    let control = try GuardedRouter(keys)
    let operating = try control.peer(with: root, saying: "drain")
    #expect(try control.next()?.keyName == "operator/root")
    let workers = try GuardedRouter(keys, .workers)
    let working = try workers.peer(with: worker, saying: "ready")
    #expect(try workers.next()?.keyName == "worker/gpu-1")
    withExtendedLifetime((operating, working)) {}
  }

  @Test("a key that nobody allowed gets nothing, and the daemon sees nothing but the refusal")
  func unknownKey() throws {
    let daemon = try GuardedRouter(keys)
    let mallory = try CurveKeyPair()
    let bad = try daemon.peer(with: mallory, saying: "mallory")
    #expect(
      try eventually {
        try daemon.turn()
        return !daemon.refusals.isEmpty
      })
    #expect(
      daemon.refusals.first
        == Authenticator.Refusal(
          reason: "The key is not one of a client or an operator.", address: "127.0.0.1",
          publicKey: mallory.publicKey))
    try expectOnlyAlice(daemon)
    #expect(try bad.receive() == nil)
  }

  @Test("a key in a role that has no business at the socket is refused", arguments: [true, false])
  func wrongRole(asWorker: Bool) throws {
    let key = try CurveKeyPair()
    let role: KeyRole = asWorker ? .worker : .client
    try keys.allow(PeerKey(role: role, name: "bob", publicKey: key.publicKey))
    let daemon = try GuardedRouter(keys, asWorker ? .control : .workers)
    let bad = try daemon.peer(with: key, saying: "bob")
    #expect(
      try eventually {
        try daemon.turn()
        return daemon.refusals.contains {
          $0.publicKey == key.publicKey && $0.reason.hasSuffix("but of \(role.rawValue)/bob.")
        }
      })
    #expect(try daemon.next(within: 0.1) == nil)
    #expect(try bad.receive() == nil)
  }

  @Test("a peer without CURVE gets nothing")
  func noCurve() throws {
    let daemon = try GuardedRouter(keys)
    let bad = try UnlimitedDealer(daemon.endpoint)
    bad.send([Data("plain".utf8)])
    try expectOnlyAlice(daemon)
    withExtendedLifetime(bad) {}
  }

  @Test("a peer that takes the daemon for another one gets nothing")
  func wrongServerKey() throws {
    let daemon = try GuardedRouter(keys)
    let bad = try daemon.peer(
      with: alice, serverKey: try CurveKeyPair().publicKey, saying: "to somebody else")
    try expectOnlyAlice(daemon)
    #expect(try bad.receive() == nil)
  }

  @Test("a revoked key counts no more on the connection that is open, nor is it let in again")
  func revokedKey() throws {
    let daemon = try GuardedRouter(keys)
    let peer = try daemon.peer(with: alice, saying: "before")
    let first = try #require(try daemon.next()?.key)
    #expect(daemon.keys.isAllowed(first))
    // By somebody else, as stemctl is.
    #expect(try KeyFolder(path: keys.path).revoke("alice") == [.client])
    _ = try peer.send([Data("after".utf8)])
    let second = try #require(try daemon.next()?.key)
    #expect(!daemon.keys.isAllowed(second))
    #expect(!daemon.keys.isAllowed("alice", .client))
    let again = try daemon.peer(with: alice, saying: "again")
    #expect(
      try eventually {
        try daemon.turn()
        return daemon.refusals.map(\.publicKey) == [alice.publicKey]
      })
    #expect(try again.receive() == nil)
    // Another key under the name does not help who came with the old one.
    let successor = try CurveKeyPair()
    try keys.allow(PeerKey(role: .client, name: "alice", publicKey: successor.publicKey))
    #expect(daemon.keys.isAllowed("alice", .client))
    #expect(!daemon.keys.isAllowed(second))
  }

  @Test("without an authenticator nobody is let in")
  func noAuthenticator() throws {
    let (context, pair) = (try MessagingContext(), try CurveKeyPair())
    let router = try MessageSocket(
      .router, context: context, security: .curveServer(secretKey: pair.secretKey, domain: .control)
    )
    try router.bind("tcp://127.0.0.1:*")
    let peer = try MessageSocket(
      .dealer, context: context, security: .curveClient(serverKey: pair.publicKey, own: alice))
    try peer.connect(try router.lastEndpoint())
    #expect(try peer.send([Data("hello".utf8)]))
    _ = try Poller.wait(for: [.socket(router)], milliseconds: 200)
    #expect(try router.receive() == nil)
    #expect(try peer.receive() == nil)
  }

  @Test("a socket of this machine asks nobody for keys, authenticator or not")
  func localSocket() throws {
    let daemon = try GuardedRouter(keys)
    let local = try MessageSocket(.router, context: daemon.context)
    try local.bind(folder.endpoint())
    let dealer = try MessageSocket(.dealer, context: MessagingContext())
    try dealer.connect(folder.endpoint())
    #expect(try dealer.send([Data("hello".utf8)]))
    #expect(try local.next().last == Data("hello".utf8))
  }

  @Test("a port is not opened, and none connected to, without keys")
  func tcpWithoutKeys() throws {
    let context = try MessagingContext()
    let router = try MessageSocket(.router, context: context)
    let error = #expect(throws: MessagingError.self) { try router.bind("tcp://127.0.0.1:*") }
    #expect(error?.description.contains("both ends must have keys") == true)
    let dealer = try MessageSocket(.dealer, context: context)
    #expect(throws: MessagingError.self) { try dealer.connect("tcp://127.0.0.1:1") }
    for text in ["", "x", String(repeating: "~", count: 40)] {
      let error = #expect(throws: MessagingError.self) {
        _ = try MessageSocket(
          .router, context: context, security: .curveServer(secretKey: text, domain: .control))
      }
      #expect(error?.description.contains("40 characters of Z85") == true)
    }
  }

  @Test(
    "malformed requests for authentication are refused, and the next good one is answered",
    arguments: [
      [], ["x"], ["", "1.0"], ["", "1.0", "1"], ["", "1.0", "1", "control"],
      ["", "2.0", "1", "control", "a", "r", "CURVE", String(repeating: "k", count: 32)],
      ["", "1.0", "1", "control", "a", "r", "CURVE"],
      ["", "1.0", "1", "control", "a", "r", "CURVE", "short"],
      ["", "1.0", "1", "control", "a", "r", "CURVE", String(repeating: "k", count: 32), "more"],
      ["", "1.0", "1", "elsewhere", "a", "r", "CURVE", String(repeating: "k", count: 32)],
      ["", "1.0", "1", "control", "a", "r", "NULL"],
      ["", "1.0", "1", "control", "a", "r", "PLAIN", "user", "password"],
    ])
  func malformedRequest(frames: [String]) throws {
    let daemon = try GuardedRouter(keys)
    let asking = try MessageSocket(.dealer, context: daemon.context)
    try asking.connect("inproc://zeromq.zap.01")
    if !frames.isEmpty { #expect(try asking.send(frames.map { Data($0.utf8) })) }
    let isAnswered = frames.count >= 3
    var answer: [Data]?
    #expect(
      try eventually {
        try daemon.turn()
        answer = try asking.receive()
        return isAnswered ? answer != nil : frames.isEmpty || !daemon.refusals.isEmpty
      })
    if isAnswered {
      let texts = answer?.map { String(decoding: $0, as: UTF8.self) }
      #expect(texts == ["", "1.0", frames[2], "400", "refused", "", ""])
    }
    #expect(daemon.refusals.count == (frames.isEmpty ? 0 : 1))
    try expectOnlyAlice(daemon)
  }

  @Test("a local peer's user is told by the kernel, and what it says of itself counts for nothing")
  func claimedIdentity() throws {
    let router = try MessageSocket(.router, context: MessagingContext())
    try router.bind(folder.endpoint())
    let stranger = try RawPeer(folder.path("a.sock"))
    try stranger.send(
      metadata: [
        ("Socket-Type", "DEALER"), ("User-Id", "operator/root/\(alice.publicKey)"),
        ("Peer-Address", "localhost:0:0:1"),
      ], message: "hello")
    var message: ReceivedMessage?
    #expect(
      try eventually {
        message = try router.receiveFromPeer()
        return message != nil
      })
    withExtendedLifetime(stranger) {}
    #expect(message?.frames == [Data("hello".utf8)])
    #expect(message?.key == nil)
    #expect(message?.keyName == nil)
    #expect(message?.localUser == geteuid())
  }

  @Test("an address names a user only where it has the form that local peers' have")
  func localUser() {
    #expect(MessageSocket.localUser(ofAddress: "localhost:1000:100:4711") == 1000)
    #expect(MessageSocket.localUser(ofAddress: ":0:0:1") == 0)
    for address in [
      "", "127.0.0.1", "::1", "fe80::1:2", "a:5::b", "1:2:3:4:5:6:7:8", "x:1000:100", "x:-1:0:1",
      "x:1000:100:4711:", "x:1000:100:",
    ] {
      #expect(MessageSocket.localUser(ofAddress: address) == nil, "\(address)")
    }
  }

  @Test("stemctl reaches a daemon on another machine with its key")
  func stemctl() throws {
    let daemon = try GuardedRouter(keys)
    try KeyFile.writePair(alice, name: "alice", folder: folder.path(""))
    let process = Process()
    process.executableURL = Program.url("stemctl")
    process.arguments = [
      "status", "--connect", daemon.endpoint, "--server-key", daemon.pair.publicKey, "--key",
      folder.path("alice.secret"),
    ]
    process.standardError = FileHandle.nullDevice
    try process.run()
    let message = try daemon.next()
    process.terminate()
    process.waitUntilExit()
    #expect(message?.keyName == "client/alice")
  }
}
