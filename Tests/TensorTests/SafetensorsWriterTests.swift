import Foundation
import Tensor
import Testing

@Suite struct SafetensorsWriterTests {
  private func inFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "write-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  private let tensors = [
    "b/1": Tensor([1.5, -0.0, .infinity, .nan, 0x1p-149, 3], shape: [2, 3]),
    "a \"quoted\"": Tensor([7], shape: [1]), "none": Tensor([], shape: [0, 4]),
    "scalar": Tensor([2], shape: []),
  ]

  @Test("what is written is read again, bit by bit, checked or not, and nothing is left aside")
  func roundTrip() throws {
    try inFolder { folder in
      let written = try SafetensorsFile.write(
        tensors, metadata: ["made by": "a test"], into: folder.path
      ) { "\($0.bytes).safetensors" }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [written.name])
      let url = folder.appending(path: written.name)
      let data = try Data(contentsOf: url)
      #expect(data.count == written.content.bytes)
      #expect(data.withUnsafeBytes(ContentHash.of) == written.content.sha256)
      for file in [
        try SafetensorsFile(url),
        try SafetensorsFile(
          checking: url, bytes: written.content.bytes, sha256: written.content.sha256),
      ] {
        #expect(file.metadata == ["made by": "a test"])
        #expect(file.names == tensors.keys.sorted())
        for (name, tensor) in tensors {
          let found = try file.tensor(name).copied()
          #expect(found.shape == tensor.shape)
          #expect(found.values.map(\.bitPattern) == tensor.values.map(\.bitPattern))
        }
      }
    }
  }

  @Test("the same tensors give the same file, which takes the place of one of its name")
  func sameBytes() throws {
    try inFolder { folder in
      let first = try SafetensorsFile.write(tensors, into: folder.path) { _ in "x" }
      let second = try SafetensorsFile.write(tensors, into: folder.path) { _ in "x" }
      #expect(first.content == second.content)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["x"])
    }
  }

  @Test("a file that was changed, cut short or replaced by a link is not read")
  func suspicion() throws {
    try inFolder { folder in
      let (name, content) = try SafetensorsFile.write(tensors, into: folder.path) { _ in "x" }
      let url = folder.appending(path: name)
      func fails() -> Bool {
        let error = #expect(throws: WeightsError.self) {
          try SafetensorsFile(checking: url, bytes: content.bytes, sha256: content.sha256)
        }
        return error?.description.contains(url.path) == true
      }
      var data = try Data(contentsOf: url)
      data[data.count - 1] ^= 1
      try data.write(to: url)
      #expect(fails())
      try data.dropLast().write(to: url)
      #expect(fails())
      try FileManager.default.removeItem(at: url)
      #expect(fails())
      try FileManager.default.createSymbolicLink(
        at: url, withDestinationURL: URL(fileURLWithPath: "/etc/hostname"))
      #expect(fails())
      unlink(url.path)
      #expect(mkfifo(url.path, 0o600) == 0)
      #expect(fails())
    }
  }

  @Test("a folder that is not there is named")
  func noFolder() {
    let error = #expect(throws: DurableFileError.self) {
      try SafetensorsFile.write(tensors, into: "/nonexistent/folder") { _ in "x" }
    }
    #expect(error?.description.contains("/nonexistent/folder") == true && error?.code == ENOENT)
  }

  @Test("a hash is SHA-256")
  func knownHash() {
    let hash = ContentHash()
    "ab".utf8.map { $0 }.withUnsafeBytes(hash.update)
    "c".utf8.map { $0 }.withUnsafeBytes(hash.update)
    #expect(
      hash.finish() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test("the compute identity names kernels and oneDNN")
  func computeIdentity() {
    #expect(ComputeIdentity.text.contains("kernels ") && ComputeIdentity.text.contains("oneDNN 2."))
  }
}
