import Foundation
import Testing

@testable import Tensor

@Suite final class PreparedWeightsFileTests {
  private let folder = FileManager.default.temporaryDirectory.appending(
    path: "weights-\(UUID().uuidString)"
  ).path(percentEncoded: false)
  private var notes: [String] = []

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  private func open(_ name: String = "a", whileWaiting: () throws -> Void = {}) throws
    -> PreparedWeightsFile
  {
    try PreparedWeightsFile(
      folder: folder, name: name, identity: "identity", note: { [self] in notes.append($0) },
      whileWaiting: whileWaiting)
  }

  private func prepared(_ file: PreparedWeightsFile) throws -> [Tensor] {
    try [[3, 5], [70, 1000], [1]].enumerated().map { index, shape in
      try file.prepared("tensor \(index)", shape: shape) { sample(shape, "\(index)") }
    }
  }

  private var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
  }

  /// As if nothing had been written for so many days.
  private func age(_ name: String, days: Int) throws {
    try FileManager.default.setAttributes(
      [.modificationDate: Date.now.addingTimeInterval(-Double(days) * 86400)],
      ofItemAtPath: "\(folder)/\(name)")
  }

  private func removeIdle() {
    PreparedWeightsFile.removeIdle(in: folder, longerThan: 30 * 86400)
  }

  @Test("tensors come back from the file as they were made, each where a page begins")
  func comesBack() throws {
    let first = try open()
    let made = try prepared(first)
    first.finish()
    let second = try open()
    #expect(first.origin == .prepared && second.origin == .mapped && notes.isEmpty)
    let mapped = try [[3, 5], [70, 1000], [1]].enumerated().map { index, shape in
      try second.prepared("tensor \(index)", shape: shape) {
        Issue.record("made again")
        return Tensor(repeating: 0, shape: shape)
      }
    }
    let page = sysconf(Int32(_SC_PAGESIZE))
    for (made, mapped) in zip(made, mapped) {
      #expect(made.values == mapped.values)
      for tensor in [made, mapped] {
        #expect(tensor.withValues { UInt(bitPattern: $0) } % UInt(page) == 0)
      }
    }
    #expect(try names == ["a.weights"])
  }

  @Test("a file that cannot be completed leaves the tensors in memory, and takes no disk")
  func abandoned() throws {
    // A folder, which no file can replace, and which is no file of weights.
    try FileManager.default.createDirectory(
      atPath: "\(folder)/a.weights/b", withIntermediateDirectories: true)
    let file = try open()
    let tensors = try prepared(file)
    func mappings() throws -> Int {
      let maps = try #require(try FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd())
      return String(decoding: maps, as: UTF8.self).split(separator: "\n").count {
        $0.contains(folder)
      }
    }
    #expect(try mappings() == 3)
    file.finish()
    #expect(notes.last?.contains("not shared") == true, "\(notes)")
    #expect(try mappings() == 0)
    for (index, tensor) in tensors.enumerated() {
      #expect(tensor.values == sample(tensor.shape, "\(index)").values)
    }
    #expect(try names == ["a.weights"])
    // What comes later is made here, too.
    #expect(try file.prepared("later", shape: [2]) { sample([2]) }.values == sample([2]).values)
  }

  @Test("waiting for another writer shows as activity, and ends when it is told to")
  func waiting() throws {
    struct Enough: Error {}
    let writer = try open()
    let before = Activity.count
    var calls = 0
    #expect(throws: Enough.self) {
      try open {
        calls += 1
        if calls == 3 { throw Enough() }
      }
    }
    #expect(calls == 3 && Activity.count >= before + 3)
    _ = try prepared(writer)
    writer.finish()
    #expect(try open { Issue.record("nobody is at work") }.origin == .mapped)
  }

  @Test("one that waits takes what the other wrote")
  func waited() throws {
    let writer = try open()
    let made = try prepared(writer)
    let other = try open { writer.finish() }
    #expect(other.origin == .mapped)
    #expect(try prepared(other).map(\.values) == made.map(\.values))
    #expect(try names == ["a.weights"])
  }

  @Test("what killed writers left is removed, and a living one's files are not")
  func leftovers() throws {
    let writer = try open("living")
    let made = try prepared(writer)
    for name in ["killed.weights.part", "killed.lock", "gone.lock", "old.weights.part", "else"] {
      try Data("x".utf8).write(to: URL(filePath: "\(folder)/\(name)"))
    }
    removeIdle()
    #expect(try names == ["else", "living.lock", "living.weights.part"])
    writer.finish()
    removeIdle()
    #expect(try names == ["else", "living.weights"])
    #expect(try prepared(open("living")).map(\.values) == made.map(\.values))
  }

  @Test("a file is removed when nobody has used it for long, but never while somebody does")
  func idle() throws {
    for isWriter in [true, false] {
      var file: PreparedWeightsFile? = try open()
      #expect(file?.origin == .prepared)
      var tensors = try prepared(try #require(file))
      file?.finish()
      if !isWriter {
        file = try open()
        tensors = try prepared(try #require(file))
      }
      // The weights outlive what they were had from.
      file = nil
      try age("a.weights", days: 40)
      removeIdle()
      #expect(try names == ["a.weights"])
      #expect(tensors[0].values == sample([3, 5], "0").values)
      // It counts as used until now.
      tensors = []
      removeIdle()
      #expect(try names == ["a.weights"])
      try age("a.weights", days: 29)
      removeIdle()
      #expect(try names == ["a.weights"])
      try age("a.weights", days: 31)
      removeIdle()
      #expect(try names == [])
    }
  }
}
