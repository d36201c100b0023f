import Foundation
import Glibc
import Messaging
import Testing

@Suite struct StemctlKeysTests {
  let root: TemporaryFolder
  let home: TemporaryFolder

  init() throws {
    root = try TemporaryFolder()
    home = try TemporaryFolder()
  }

  func keys(_ arguments: String...) throws -> Program.Outcome {
    try Program.run("stemctl", ["keys"] + arguments, environment: ["STEMD_ROOT": root.path("")])
  }

  @Test("a pair is made, allowed by file or by text, listed and revoked")
  func wholeLife() throws {
    let made = try keys("new", "alice", "--folder", home.path(""))
    #expect(made.status == 0)
    let key = made.output.trimmingCharacters(in: .newlines)
    #expect(CurveKeyPair.isKey(key))
    #expect(try KeyFile.publicKey(at: home.path("alice.public")) == key)
    #expect(
      try CurveKeyPair(secretKey: KeyFile.secretKey(at: home.path("alice.secret"))).publicKey == key
    )

    let again = try keys("new", "alice", "--folder", home.path(""))
    #expect(again.status == 1)
    #expect(again.errors.contains("exists already"))

    let byFile = try keys("allow", "alice", "--as", "client", home.path("alice.public"))
    #expect(byFile.output == "allowed client/alice\n")
    let byText = try keys("allow", "alice", "--as", "worker", key)
    #expect(byText.output == "allowed worker/alice\n")
    #expect(
      try keys("list").output
        == "ROLE    NAME   PUBLIC KEY\nclient  alice  \(key)\nworker  alice  \(key)\n")
    #expect(
      try keys("list", "--json").output.hasPrefix(
        "[{\"name\":\"alice\",\"public_key\":\""))

    #expect(try keys("revoke", "alice", "--as", "worker").output == "revoked worker/alice\n")
    #expect(try keys("revoke", "alice").output == "revoked client/alice\n")
    let unknown = try keys("revoke", "alice")
    #expect(unknown.status == 1)
    #expect(unknown.errors.contains("No key has the name alice"))
    #expect(try keys("list", "--json").output == "[]\n")
  }

  @Test("a secret key is not taken for a public one, and a file that is not there is named")
  func secretKey() throws {
    _ = try keys("new", "alice", "--folder", home.path(""))
    let secret = try keys("allow", "alice", "--as", "client", home.path("alice.secret"))
    #expect(secret.status == 1 && secret.errors.contains("allow the .public file beside it"))
    let missing = try keys("allow", "alice", "--as", "client", home.path("bob.public"))
    #expect(missing.status == 1 && missing.errors.contains("There is no key file"))
    #expect(try keys("list", "--json").output == "[]\n")
  }

  @Test("the daemon's key is made once and printed alone")
  func server() throws {
    let first = try keys("server")
    #expect(first.status == 0)
    #expect(CurveKeyPair.isKey(first.output.trimmingCharacters(in: .newlines)))
    #expect(try keys("server").output == first.output)
    #expect(chmod(root.path("keys/stemd.secret"), 0o644) == 0)
    let unsafe = try keys("server")
    #expect(unsafe.status == 1)
    #expect(unsafe.errors.contains("chmod 600"))
  }

  @Test("what is wrong is said in one sentence, and nothing is written")
  func badInput() throws {
    let noKey = try keys("allow", "alice", "--as", "client", "no-such\u{1B}file")
    #expect(noKey.status == 1)
    #expect(
      noKey.errors
        == "Error: “no-such\\u{1b}file” is neither a public key (40 characters of Z85) nor a file that holds one.\n"
    )
    #expect(try keys("allow", "../x", "--as", "client", "x").status != 0)
    #expect(try keys("allow", "alice", "--as", "emperor", "x").errors.contains("emperor"))
    #expect(try keys("new", ".x", "--folder", home.path("")).status != 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: root.path("")) == [])
    #expect(try FileManager.default.contentsOfDirectory(atPath: home.path("")) == [])
  }

  @Test("what the folder holds besides keys is noted beside the list")
  func notes() throws {
    _ = try keys("server")
    #expect(mkdir(root.path("keys/clients"), 0o750) == 0)
    try Data("nonsense".utf8).write(to: URL(filePath: root.path("keys/clients/x")))
    let list = try keys("list")
    #expect(list.output == "ROLE  NAME  PUBLIC KEY\n")
    #expect(list.errors.hasPrefix("note: The key file "))
    #expect(list.errors.contains("holds no key"))
  }

  @Test("a daemon on another machine takes both keys, by option or environment")
  func remoteOptions() throws {
    func status(_ arguments: [String], _ environment: [String: String] = [:]) throws -> String {
      try Program.run("stemctl", ["status"] + arguments, environment: environment).errors
    }
    let connect = ["--connect", "tcp://127.0.0.1:1"]
    #expect(try status(connect).contains("--server-key or STEMD_SERVER_KEY"))
    _ = try keys("new", "me", "--folder", home.path(""))
    let server = ["STEMD_SERVER_KEY": home.path("me.public")]
    #expect(try status(connect, server).contains("--key or STEMD_KEY"))
    #expect(
      try status(connect + ["--key", home.path("none")], server).contains("There is no key file"))
    #expect(chmod(home.path("me.secret"), 0o640) == 0)
    #expect(
      try status(connect + ["--key", home.path("me.secret")], server).contains("chmod 600"))
    #expect(
      try status(["--connect", "host:1", "--key", home.path("me.secret")], server).contains(
        "tcp://HOST:PORT"))
    #expect(try status(connect + ["--root", root.path("")]).contains("give one of them"))
    // A root that is given by name is the daemon that is meant.
    #expect(
      try status(["--root", root.path("")], ["STEMD_CONNECT": "tcp://127.0.0.1:1"]).contains(
        "/run/control.sock"))
  }
}
