import Foundation
import Glibc
import Testing

@testable import Messaging

@Suite struct KeyFolderTests {
  let root: TemporaryFolder
  let keys: KeyFolder
  let key: String

  init() throws {
    root = try TemporaryFolder()
    keys = KeyFolder(path: root.path("keys"))
    key = try CurveKeyPair().publicKey
  }

  func mode(_ name: String) -> mode_t {
    var information = stat()
    return lstat(root.path("keys/\(name)"), &information) == 0 ? information.st_mode & 0o777 : 0
  }

  func write(_ content: String, _ name: String) throws {
    let path = root.path("keys/\(name)")
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(content.utf8).write(to: URL(filePath: path))
  }

  func peer(_ role: KeyRole, _ name: String, _ key: String? = nil) -> PeerKey {
    PeerKey(role: role, name: name, publicKey: key ?? self.key)
  }

  @Test("the daemon's pair is made once, and its secret is for its owner's eyes only")
  func serverPair() throws {
    #expect(try keys.serverKeyPair() == nil)
    let pair = try keys.makeServerKeyPair()
    #expect(try keys.makeServerKeyPair() == pair)
    #expect(try keys.serverKeyPair() == pair)
    #expect(mode("stemd.secret") == 0o600)
    #expect(mode("stemd.public") == 0o644)
    #expect(try KeyFile.publicKey(at: keys.publicPath) == pair.publicKey)
    #expect(!"\(pair)".contains(pair.secretKey))
    #expect(!String(reflecting: pair).contains(pair.secretKey))
    // A public key that is missing or wrong is made from the secret one.
    try write(key, "stemd.public")
    _ = try keys.makeServerKeyPair()
    #expect(try KeyFile.publicKey(at: keys.publicPath) == pair.publicKey)
  }

  @Test("a secret that others may read, a link to one and one that is no key are not used")
  func unsafeSecret() throws {
    let pair = try keys.makeServerKeyPair()
    for mode: mode_t in [0o640, 0o604, 0o620, 0o666] {
      #expect(chmod(keys.secretPath, mode) == 0)
      let error = #expect(throws: MessagingError.self) { _ = try keys.serverKeyPair() }
      #expect(error?.description.contains("chmod 600") == true)
      #expect(throws: MessagingError.self) { _ = try keys.makeServerKeyPair() }
    }
    #expect(chmod(keys.secretPath, 0o600) == 0)
    #expect(try keys.serverKeyPair() == pair)
    #expect(rename(keys.secretPath, root.path("elsewhere")) == 0)
    #expect(symlink(root.path("elsewhere"), keys.secretPath) == 0)
    let link = #expect(throws: MessagingError.self) { _ = try keys.serverKeyPair() }
    #expect(link?.description.contains("is a link") == true)
    #expect(unlink(keys.secretPath) == 0)
    try write(String(pair.secretKey.dropLast()), "stemd.secret")
    #expect(chmod(keys.secretPath, 0o600) == 0)
    let text = #expect(throws: MessagingError.self) { _ = try keys.serverKeyPair() }
    #expect(text?.description.contains("holds no key") == true)
    #expect(text?.description.contains(pair.secretKey.dropLast()) == false)
  }

  @Test("a key is known by role and name from when it is allowed until it is revoked")
  func allowing() throws {
    #expect(keys.role(ofPublicKey: key) == nil)
    // Again and again, faster than a file system's clock goes.
    for _ in 0..<50 {
      try keys.allow(peer(.client, "alice"))
      #expect(keys.role(ofPublicKey: key)?.name == "alice")
      #expect(keys.role(ofPublicKey: key)?.role == .client)
      #expect(keys.isAllowed("alice", .client))
      #expect(!keys.isAllowed("alice", .operator))
      #expect(try keys.revoke("alice") == [.client])
      #expect(!keys.isAllowed(peer(.client, "alice")))
      #expect(keys.role(ofPublicKey: key) == nil)
    }
    #expect(try keys.revoke("alice") == [])
    #expect(mode("clients") == 0o750)
    #expect(keys.takeNotices() == [])
  }

  @Test("a name keeps its key until that is revoked; the same key again is fine")
  func occupiedName() throws {
    try keys.allow(peer(.client, "alice"))
    try keys.allow(peer(.client, "alice"))
    let other = try CurveKeyPair().publicKey
    let error = #expect(throws: MessagingError.self) {
      try keys.allow(peer(.client, "alice", other))
    }
    #expect(error?.description.contains("revoke that one first") == true)
    #expect(keys.allowedKeys() == [peer(.client, "alice")])
    #expect(mode("clients/alice") == 0o640)
  }

  @Test("a file that is rewritten in its place counts soon")
  func rewritten() throws {
    let other = try CurveKeyPair().publicKey
    try write(key, "clients/alice")
    #expect(keys.isAllowed(peer(.client, "alice")))
    let file = open(root.path("keys/clients/alice"), O_WRONLY)
    #expect(Glibc.write(file, other, 40) == 40)
    close(file)
    #expect(eventually { keys.isAllowed(peer(.client, "alice", other)) })
    #expect(!keys.isAllowed(peer(.client, "alice")))
  }

  @Test("of several roles of a key the most powerful counts, of several names the first")
  func severalPlaces() throws {
    try keys.allow(peer(.worker, "w"))
    #expect(keys.peer(ofPublicKey: key) == peer(.worker, "w"))
    try keys.allow(peer(.client, "bob"))
    try keys.allow(peer(.client, "al"))
    #expect(keys.peer(ofPublicKey: key) == peer(.client, "al"))
    try keys.allow(peer(.operator, "zoe"))
    #expect(keys.peer(ofPublicKey: key) == peer(.operator, "zoe"))
    #expect(keys.peer(ofPublicKey: key, among: [.worker]) == peer(.worker, "w"))
    #expect(
      keys.takeNotices() == [
        "The key of client/bob is that of client/al, too: it counts as client/al.",
        "The key of client/al is that of operator/zoe, too: it counts as operator/zoe.",
        "The key of client/bob is that of operator/zoe, too: it counts as operator/zoe.",
      ])
    #expect(try keys.revoke("zoe") == [.operator])
    #expect(keys.peer(ofPublicKey: key) == peer(.client, "al"))
  }

  @Test("names that could lead elsewhere or are no names are refused")
  func names() throws {
    for name in [
      "", ".", "..", ".hidden", "a/b", "../alice", "a b", "a\n", "ä", "a\0b",
      String(repeating: "x", count: 65),
    ] {
      let error = #expect(throws: MessagingError.self, "\(name)") {
        try keys.allow(peer(.client, name))
      }
      #expect(error?.description.contains("cannot be a key's name") == true)
      #expect(throws: MessagingError.self) { _ = try keys.revoke(name) }
    }
    for name in ["a", "-", "A.b_c-9", String(repeating: "x", count: 64)] {
      try keys.allow(peer(.client, name))
      #expect(keys.isAllowed(name, .client))
    }
    #expect(throws: MessagingError.self) { try keys.allow(peer(.client, "bad", "no key")) }
  }

  @Test("whatever else lies in the folder is not used and reported once, and good keys count")
  func hostileContent() throws {
    try keys.allow(peer(.client, "good"))
    try write(key + "\n", "clients/newline")
    try write(key + "\r\n", "clients/crlf")
    try write("", "clients/.hidden")
    #expect(keys.allowedKeys().map(\.name) == ["crlf", "good", "newline"])
    _ = keys.takeNotices()

    let folder = root.path("keys/clients/")
    try write("", "clients/empty")
    try write(key + "\n\n", "clients/lines")
    try write(key + " ", "clients/space")
    try write(String(repeating: "~", count: 40), "clients/letters")
    try write(key, "clients/bad name")
    try write(key, "clients/writable")
    #expect(chmod(folder + "writable", 0o666) == 0)
    #expect(symlink(folder + "good", folder + "link") == 0)
    #expect(symlink("/dev/zero", folder + "zero") == 0)
    #expect(mkfifo(folder + "fifo", 0o600) == 0)
    #expect(mkdir(folder + "folder", 0o700) == 0)
    let huge = open(folder + "huge", O_WRONLY | O_CREAT, 0o600)
    #expect(ftruncate(huge, 1 << 40) == 0)
    close(huge)
    let bytes = folder.utf8.map { CChar(bitPattern: $0) } + [CChar(bitPattern: 0xFF), 0]
    close(open(bytes, O_WRONLY | O_CREAT, 0o600))

    #expect(keys.allowedKeys().map(\.name) == ["crlf", "good", "newline"])
    let notices = keys.takeNotices().filter { !$0.contains("it counts as") }.sorted()
    let expected: [(String, String)] = [
      ("\\xff", "is not used"), ("bad name", "is not used"), ("empty", "holds no key"),
      ("fifo", "is a link or no file"), ("folder", "is a link or no file"),
      ("huge", "holds no key"), ("letters", "holds no key"), ("lines", "holds no key"),
      ("link", "is a link or no file"), ("space", "holds no key"), ("writable", "chmod o-w"),
      ("zero", "is a link or no file"),
    ]
    #expect(notices.count == expected.count)
    for (name, reason) in expected {
      #expect(
        notices.contains { $0.contains("/clients/\(name)") && $0.contains(reason) }, "\(name)")
    }
    #expect(chmod(folder, 0o700) == 0)
    #expect(keys.takeNotices() == [])
  }

  @Test("a role's folder that is a link, no folder or open to everybody lets nobody in")
  func hostileFolders() throws {
    try keys.allow(peer(.client, "good"))
    #expect(mkdir(root.path("elsewhere"), 0o700) == 0)
    try Data(try CurveKeyPair().publicKey.utf8).write(to: root.url.appending(path: "elsewhere/x"))
    #expect(symlink(root.path("elsewhere"), root.path("keys/operators")) == 0)
    try write("", "workers")
    #expect(keys.allowedKeys() == [peer(.client, "good")])
    #expect(chmod(root.path("keys/clients"), 0o777) == 0)
    #expect(keys.allowedKeys() == [])
    let notices = keys.takeNotices()
    #expect(notices.count == 3)
    #expect(notices.contains { $0.contains("/operators is a link or no folder") })
    #expect(notices.contains { $0.contains("/workers is a link or no folder") })
    #expect(notices.contains { $0.contains("/clients is used, because anybody may change") })
  }

  @Test("a missing folder is no problem for reading, and a sentence for writing")
  func missingFolder() throws {
    let keys = KeyFolder(path: root.path("no/such/keys"))
    #expect(keys.allowedKeys() == [])
    #expect(keys.takeNotices() == [])
    #expect(try keys.revoke("alice") == [])
    let error = #expect(throws: MessagingError.self) { try keys.allow(peer(.client, "alice")) }
    #expect(error?.description.contains("There is no folder") == true)
  }

  @Test("a key is 40 characters of Z85 that stand for 32 bytes")
  func keyTexts() throws {
    #expect(CurveKeyPair.isKey(key))
    let pair = try CurveKeyPair()
    #expect(try CurveKeyPair(secretKey: pair.secretKey) == pair)
    for text in [
      "", String(key.dropLast()), key + "0", String(repeating: "#", count: 40),
      String(repeating: "\"", count: 40), String(key.dropLast(5)) + "\0aaaa",
      String(key.dropLast(2)) + "é",
    ] {
      #expect(!CurveKeyPair.isKey(text), "\(text)")
      #expect(throws: MessagingError.self) { _ = try CurveKeyPair(secretKey: text) }
    }
  }
}
