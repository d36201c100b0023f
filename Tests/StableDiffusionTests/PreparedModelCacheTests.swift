import Foundation
import Synchronization
import Testing

@testable import StableDiffusion
@testable import Tensor

@Suite struct PreparedModelCacheTests {
  private let folder = FileManager.default.temporaryDirectory.appending(
    path: "prepared-\(UUID().uuidString)"
  ).path(percentEncoded: false)

  private func open(_ precision: Precision = .full, _ notes: Notes = Notes()) throws -> (
    model: StableDiffusionModel, isPrepared: Bool
  ) {
    try PreparedModelCache(folder: folder) { notes.add($0) }.model(
      StableDiffusionModel.source(at: TinyWorld.folder), precision: precision)
  }

  private final class Notes: Sendable {
    let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
  }

  private func weights() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".weights") }
      .sorted()
  }

  private func output(_ model: StableDiffusionModel) throws -> [Float] {
    let latents = RandomNumbers(seed: 3, stream: "latents").normal([2, 9, 6, 4])
    let noise = try model.unet(latents, timestep: 301, context: model.encode(["a red ball"]))
    return try noise.values + model.autoencoder.decode(latents).values
  }

  @Test(
    "the first to open a model prepares its weights, the next maps them, and both compute the same",
    arguments: Precision.isMixedSupported ? [Precision.full, .mixed] : [.full])
  func sharing(precision: Precision) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let first = try open(precision)
    #expect(first.isPrepared)
    #expect(try weights().count == 3)
    let second = try open(precision)
    #expect(!second.isPrepared)
    let alone = try StableDiffusionModel(at: TinyWorld.folder, precision: precision)
    let expected = try output(alone)
    let outputs = try [first, second].map { try output($0.model) }
    #expect(outputs == [expected, expected])
  }

  @Test(
    "a file with any byte changed, cut short, or of another version is noticed and replaced",
    arguments: ["byte", "last byte", "header", "short", "empty", "version"])
  func damage(kind: String) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let expected = try output(open().model)
    let name = try #require(try weights().first { $0.contains("-unet-") })
    let url = URL(fileURLWithPath: "\(folder)/\(name)")
    var data = try Data(contentsOf: url)
    switch kind {
    case "byte": data[(1 << 20) + 77_777] ^= 4
    case "last byte": data[data.count - 1] ^= 0x80
    case "header":
      let place = try #require(data.range(of: Data("\"shape\":[".utf8))).upperBound
      data[place] = data[place] == UInt8(ascii: "1") ? UInt8(ascii: "2") : UInt8(ascii: "1")
    case "short": data = data.prefix(data.count / 2)
    case "empty": data = Data()
    default:
      let place = try #require(data.range(of: Data("kernels ".utf8))).upperBound
      data[place] ^= 1
    }
    // A new file, as a mapped one may not change.
    try FileManager.default.removeItem(at: url)
    try data.write(to: url)
    let notes = Notes()
    let again = try open(.full, notes)
    #expect(again.isPrepared)
    #expect(notes.all.contains { $0.contains("anew") && $0.contains(name) }, "\(notes.all)")
    let result = try output(again.model)
    #expect(result == expected)
    let last = try open()
    #expect(!last.isPrepared)
  }

  /// Of this process's mappings of all files below the cache's folder, in bytes.
  private func resident() throws -> Int {
    var bytes = 0
    var isOurs = false
    // As a whole file it would be read to the end of its first page only.
    let smaps = try #require(try FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd())
    for line in String(decoding: smaps, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count >= 5 {
        isOurs = line.contains(folder)
      } else if isOurs, words[0] == "Rss:", let count = Int(words[1]) {
        bytes += count << 10
      }
    }
    return bytes
  }

  @Test("of a mapped file, no more stays in memory than the weights")
  func headers() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    _ = try open()
    let opened = try open()
    var weightBytes = 0
    for name in try weights() {
      let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: "\(folder)/\(name)"))
      let header = try #require(try file.read(upToCount: 8)).withUnsafeBytes {
        Int($0.loadUnaligned(as: UInt64.self))
      }
      #expect(header + 8 == 1 << 20)
      weightBytes += Int(try file.seekToEnd()) - header - 8
    }
    let found = try withExtendedLifetime(opened) { try resident() }
    #expect(!opened.isPrepared && found > 0)
    #expect(found <= weightBytes, "\(found) bytes of \(weightBytes) of weights")
  }

  @Test("of several that need a model at once, one prepares it")
  func together() async throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let prepared = try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<4 { group.addTask { try open().isPrepared } }
      return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(prepared == 1)
    #expect(try weights().count == 3)
  }

  @Test("what a writer that died left aside is no hindrance")
  func leftAside() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    _ = try open()
    for name in try weights() {
      let path = "\(folder)/\(name)"
      try FileManager.default.moveItem(atPath: path, toPath: path + ".part")
    }
    let opened = try [open(), open()].map(\.isPrepared)
    #expect(opened == [true, false])
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    #expect(!names.contains { $0.hasSuffix(".part") })
  }

  @Test("a cache that cannot be written costs sharing, not the model")
  func unwritable() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // A file where the folder should be: that stops root, too.
    try Data().write(to: URL(fileURLWithPath: folder))
    let notes = Notes()
    let opened = try open(.full, notes)
    #expect(!opened.isPrepared)
    #expect(notes.all.contains { $0.contains("not shared") })
    let result = try output(opened.model)
    #expect(!result.isEmpty)
  }
}
